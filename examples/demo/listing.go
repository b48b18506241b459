//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emujail/examples/wait"
	"emujail/jailsetup/leftover"
)

// list looks at the host: what of it could be the demo's. Others may have jails
// here, too, which come and go.
func list() (leftover.Listing, error) {
	ours := func(path string) bool { return strings.HasPrefix(path, stateDir) || strings.HasPrefix(path, runDir) }
	return leftover.Scope{
		Numbers: true,
		Mount:   ours,
		Backing: ours,
		Socket:  ours,
		Listener: func(addr string) bool {
			return strings.HasSuffix(addr, hexPort(tmcdPort)) || strings.HasSuffix(addr, hexPort(webPort))
		},
		More: map[string]leftover.Lister{"cgroups": cgroups, "processes": processes, "files": files},
	}.List()
}

func cgroups() ([]string, error) {
	var all []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // one that has just gone
		}
		if d.IsDir() && (strings.Contains(path, "/emulab/"+first) || strings.Contains(path, "/emulab/"+second)) {
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

// firstJailID is where jails' ids begin; no process of the host's has such.
const firstJailID = 1 << 24

// processes are those with a jail's ids, but for those in another jail's cgroup,
// and the program that starts them, if it is this demo's.
func processes() ([]string, error) {
	statuses, err := filepath.Glob("/proc/[0-9]*/status")
	bin, binErr := binDir()
	var all []string
	for _, path := range statuses {
		status, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		var name string
		var uid int
		for line := range strings.Lines(string(status)) {
			fmt.Sscanf(line, "Name: %s", &name)
			fmt.Sscanf(line, "Uid: %d", &uid)
		}
		if uid >= firstJailID && !anothers(filepath.Dir(path)) || name == "jailspawn" && runs(filepath.Dir(path), bin) {
			all = append(all, filepath.Base(filepath.Dir(path))+" "+name)
		}
	}
	return all, errors.Join(err, binErr)
}

// anothers tells whether a process, given as its directory in /proc, is in a
// cgroup of a jail that isn't the demo's.
func anothers(process string) bool {
	text, err := os.ReadFile(filepath.Join(process, "cgroup"))
	_, vnode, ok := strings.Cut(string(text), "/emulab/")
	return err == nil && ok && !strings.HasPrefix(vnode, first) && !strings.HasPrefix(vnode, second)
}

// runs tells whether its program lies in a directory.
func runs(process, dir string) bool {
	exe, err := os.Readlink(filepath.Join(process, "exe"))
	return err == nil && filepath.Dir(exe) == dir
}

func hexPort(n int) string { return fmt.Sprintf(":%04X", n) }

// files are those of the demo's that belong to a jail.
func files() ([]string, error) {
	var all []string
	for _, root := range []string{filepath.Join(stateDir, "jails"), filepath.Join(runDir, "jails"), filepath.Join(runDir, "netns")} {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "x-") {
				all = append(all, filepath.Join(root, e.Name()))
			}
		}
	}
	return all, nil
}

// snapshotWorld lists the host just before the first jail.
func (w *world) snapshotWorld() (err error) {
	w.withWorld, err = list()
	return err
}

// awaitAsBefore waits until the host is as it was before the demo.
func (w *world) awaitAsBefore() error {
	return wait.Until(context.Background(), 5*time.Second, "the host to be as before the demo", func() error {
		now, err := list()
		if err != nil {
			return err
		}
		return w.before.Diff(now)
	})
}
