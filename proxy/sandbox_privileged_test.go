//go:build linux && privileged

package proxy

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"emujail/proxy/control"
)

// A confined proxy has given away what it doesn't need, and works all the same.
func TestConfinedProxyHasNothingAndWorks(t *testing.T) {
	s, path, _ := attested(t, control.VNode{VNode: "pcvm1-1"})
	for range 20 {
		if reply, err := ask(t, path, "VERSION=40 bootlog hello"); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
			t.Fatalf("%q, %v", reply, err)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	user := fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", User)
	none := "0000000000000000"
	for name, want := range map[string]string{
		"Uid": user, "Gid": user, "Groups": "", "NoNewPrivs": "1", "Seccomp": "2",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none,
	} {
		if fields[name] != want {
			t.Errorf("%s is %q, want %q", name, fields[name], want)
		}
	}
	root := fmt.Sprintf("/proc/%d/root", s.cmd.Process.Pid)
	if list, err := os.ReadDir(root); len(list) != 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("root directory: %v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(root, "x"), nil, 0o600); err == nil {
		t.Error("the root directory can be filled")
	}
}

// The filter refuses what a captured proxy would want. The calls are made by a
// child that has confined itself.
func TestConfinedProcessIsRefused(t *testing.T) {
	out := confinedProbe(t)
	for _, want := range []string{
		"open /etc/passwd: operation not permitted",
		"open below proc for writing: operation not permitted",
		"open above proc: no such file or directory",
		"unix socket: operation not permitted",
		"netlink socket: operation not permitted",
		"fork: operation not permitted",
		"exec: operation not permitted",
		"executable memory: operation not permitted",
		"ptrace: operation not permitted",
		"io_uring: operation not permitted",
		"chroot: operation not permitted",
		"setuid: operation not permitted",
		"read comm: ok",
		"ip socket: ok",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("%q isn't in\n%s", want, out)
		}
	}
}

// Signing by the supervisor, from behind the sandbox.
func TestConfinedProxySignsElsewhere(t *testing.T) {
	pki := makePKI(t)
	tmcd := startTLSTmcd(t, pki)
	var signatures atomic.Int64
	s := supervise(t, "confined", &control.SignServer{
		Key:    pki.client.PrivateKey.(crypto.Signer),
		Report: func(control.Message, error) { signatures.Add(1) },
	})
	dir := t.TempDir()
	openWay(t, dir)
	path, file := socket(t, dir, "pcvm1-1")
	s.order(tmcd.message(control.TLS{CA: pki.caPEM, Cert: pki.clientPEM}))
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}}}, file)
	for range 3 {
		if reply, err := ask(t, path, "accounts "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
			t.Errorf("%q, %v", reply, err)
		}
	}
	if n := signatures.Load(); n != 1 {
		t.Errorf("%d signatures for 3 requests, want one: sessions are resumed", n)
	}
}

func errText(err error) string {
	if err == nil {
		return "ok"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
