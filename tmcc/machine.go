package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"unicode"

	"emujail/protocol"
	"emujail/tmcc/cache"
	"emujail/tmcc/client"
)

// A machine is all that tmcc sees of where it runs.
type machine struct {
	stdout, stderr io.Writer
	getenv         func(name string) (value string, set bool)
	etc            []string // directories of bossnode and the .pem files
	boot           string   // directory of proxypath and the cache
	keys           []string // key files, the first that is there counts
	root           bool
	finder         client.Finder // how names are looked up
}

func thisMachine() machine {
	m := machine{
		stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.LookupEnv,
		etc:    client.ConfigDirs(),
		boot:   cache.BootDir,
		keys:   []string{"/etc/emulab/emulab-privkey", "/etc/emulab.pkey"},
		root:   os.Geteuid() == 0,
	}
	if dir, ok := m.getenv("TMCC_ETCDIR"); ok && dir != "" {
		m.etc = append([]string{dir}, m.etc...)
	}
	return m
}

// version names the program, the module's version if the build recorded one,
// and the protocol's.
func version() string {
	build := "unversioned"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		build = info.Main.Version
	}
	return fmt.Sprintf("tmcc %s, emujail, protocol version %d", build, protocol.Version)
}

// printable shows control characters, which may be another's words, as \xNN.
func printable(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' {
			fmt.Fprintf(&b, `\x%02X`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
