package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tmcc": func() { os.Exit(run(context.Background(), testMachine(), os.Args[1:])) },
	})
}

// testMachine is this machine with its directories in the script's own, and
// with names of its own; a script sets the variables.
func testMachine() machine {
	m := thisMachine()
	work := os.Getenv("WORK")
	m.etc = []string{filepath.Join(work, "none"), filepath.Join(work, "etc")}
	m.boot = filepath.Join(work, "boot")
	m.keys = []string{filepath.Join(work, "etc/emulab-privkey"), filepath.Join(work, "etc/emulab.pkey")}
	m.root = os.Getenv("TEST_USER") == ""
	m.finder.Resolver = scriptNames{}
	m.finder.ResolvConf = filepath.Join(work, "resolv.conf")
	m.finder.Wait = 10 * time.Millisecond
	return m
}

// scriptNames knows the names that the scripts use.
type scriptNames struct{}

func (scriptNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	addr := map[string]string{
		"boss.example.net":  "127.0.0.1",
		"inner.example.net": "127.0.0.2",
		"other.example.net": "192.0.2.1",
	}[host]
	if addr == "" {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(addr)}, nil
}

func (scriptNames) LookupAddr(_ context.Context, addr string) ([]string, error) {
	if addr == "127.0.0.1" {
		return []string{"boss.example.net."}, nil
	}
	return nil, errors.New("no name")
}

func TestScripts(t *testing.T) {
	peers := newPeers()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Defer(func() { peers.stop(e.WorkDir) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": peers.serve,
			"saw":   peers.saw,
			"pki":   pki,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
