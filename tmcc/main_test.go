package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// programs builds what `make build` does: the lean tmcc and the whole one beside it.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, tags := range map[string]string{"tmcc": "lean", "tmcc-full": ""} {
		cmd := exec.Command("go", "build", "-tags", tags, "-o", filepath.Join(dir, name), ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", name, err, out)
		}
	}
	return dir
}

// TestLean: what the lean tmcc may not link costs each start a third of its time.
func TestLean(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "lean", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if strings.HasPrefix(pkg, "crypto") || strings.HasPrefix(pkg, "emujail/proxy") || pkg == "net/http" {
			t.Errorf("it links %s", pkg)
		}
	}
}

func TestScripts(t *testing.T) {
	peers, lean := newPeers(), programs(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Defer(func() { peers.stop(e.WorkDir) })
			e.Setenv("LEAN", lean)
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
