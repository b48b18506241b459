package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func jailRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, d := range []string{"/etc", "/var", "/run"} {
		if err := os.Mkdir(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func jailSettings() settings {
	return settings{VNode: "pcvm1-1", Hostname: "a.e.p.d", JailIP: "10.0.0.1"}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPrepareTwice: the second boot changes nothing but what is new each time.
func TestPrepareTwice(t *testing.T) {
	root := jailRoot(t)
	var key string
	for i := range 2 {
		err := prepare(root, jailSettings())
		if err != nil && os.Getuid() == 0 { // chown of login records needs root
			t.Fatalf("prepare: %v", err)
		}
		if got := read(t, root+"/var/emulab/boot/proxypath"); got != proxySocket {
			t.Errorf("proxypath %q", got)
		}
		if got := read(t, root+"/etc/hosts"); strings.Count(got, "10.0.0.1") != 1 || !strings.Contains(got, "localhost") {
			t.Errorf("hosts %q", got)
		}
		now := read(t, root+"/etc/ssh/ssh_host_ed25519_key")
		if i == 1 && now != key {
			t.Error("the second boot made another host key")
		}
		key = now
	}
}

// TestPrepareInAMess: what jail root left in our places is replaced, neither
// followed nor waited for, and one failure doesn't stop the rest.
func TestPrepareInAMess(t *testing.T) {
	root, outside := jailRoot(t), t.TempDir()
	if err := os.MkdirAll(root+"/var/emulab/boot", 0o755); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, root+"/var/emulab/boot/proxypath"); err != nil {
		t.Fatal(err)
	}
	for _, fifo := range []string{"/var/emulab/boot/jailname", "/etc/hosts", "/etc/group"} {
		if err := syscall.Mkfifo(root+fifo, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(root+"/var/emulab/boot/nodeid/x", 0o755); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- prepare(root, jailSettings()) }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "nodeid") {
			t.Errorf("prepare = %v, want it to name nodeid", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("prepare waits for somebody")
	}
	if got := read(t, victim); got != "untouched" {
		t.Errorf("a link was followed: %q", got)
	}
	for _, p := range []string{"/var/emulab/boot/proxypath", "/var/emulab/boot/jailname", "/etc/hosts", "/etc/ssh/ssh_host_ecdsa_key"} {
		if st, err := os.Lstat(root + p); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s: %v, %v; want a plain file", p, st, err)
		}
	}
}

func TestPrepareNameless(t *testing.T) {
	err := prepare(jailRoot(t), settings{})
	if err == nil || !strings.Contains(err.Error(), "TMCCVNODEID") {
		t.Errorf("prepare without a name: %v", err)
	}
}

func TestHostsText(t *testing.T) {
	ours := "10.0.0.1\ta.e.p.d a # this jail\n"
	local := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	tests := []struct{ name, old, want string }{
		{"empty", "", local + ours},
		{"fresh", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n" + ours},
		{"again", "127.0.0.1 localhost\n" + ours, "127.0.0.1 localhost\n" + ours},
		{"moved", "127.0.0.1 localhost\n10.9.9.9 x # this jail\n10.1.1.1 b\n", "127.0.0.1 localhost\n10.1.1.1 b\n" + ours},
		{"no newline", "127.0.0.1 localhost", "127.0.0.1 localhost\n" + ours},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hostsText(tt.old, jailSettings()); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := hostsText(local, settings{Hostname: "a"}); !strings.HasSuffix(got, "127.0.1.1\ta # this jail\n") {
		t.Errorf("without an address: %q", got)
	}
}

func TestSSHDText(t *testing.T) {
	const conf = "# c\nUsePAM yes\nMatch User x\n X11Forwarding no\n"
	two := []string{"10.0.0.1", "10.1.1.2"}
	const ours = "ListenAddress 10.0.0.1\nListenAddress 10.1.1.2\n"
	for _, tt := range []struct {
		name, old string
		listens   []string
		want      string
	}{
		{"fresh", conf, two, ours + conf},
		{"again", ours + conf, two, ours + conf},
		{"other addresses", "ListenAddress 10.9.9.9\n" + conf, two, ours + conf},
		{"wherever it may", ours + conf, nil, conf},
		{"however it is written", "listenaddress=::\n\tListenAddress\t0.0.0.0\n \"ListenAddress\" 10.2.2.2\nListenAddress\n#ListenAddress ::\n" + conf, nil, "#ListenAddress ::\n" + conf},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := sshdText(tt.old, tt.listens); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestSSHDFile: what isn't there isn't made, and what jail root left in its place
// isn't followed.
func TestSSHDFile(t *testing.T) {
	root := jailRoot(t)
	path := root + "/etc/ssh/sshd_config"
	if err := os.Mkdir(root+"/etc/ssh", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sshdFile(root, []string{"10.0.0.1"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("sshd_config: %v", err)
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("UsePAM yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if err := sshdFile(root, []string{"10.0.0.1"}); err != nil {
		t.Error(err)
	}
	if got := read(t, victim); got != "UsePAM yes\n" {
		t.Errorf("a link was followed: %q", got)
	}
	if got := read(t, path); got != "ListenAddress 10.0.0.1\nUsePAM yes\n" {
		t.Errorf("sshd_config %q", got)
	}
}

func TestConsoleLogIsNeverSomethingElse(t *testing.T) {
	root := jailRoot(t)
	if err := os.Mkdir(root+"/var/log", 0o755); err != nil {
		t.Fatal(err)
	}
	path := root + "/var/log/console.log"
	f := consoleLog(root)
	f.WriteString("x")
	f.Close()
	if got := read(t, path); got != "x" {
		t.Errorf("log %q", got)
	}
	for name, make := range map[string]func() error{
		"a fifo":      func() error { return syscall.Mkfifo(path, 0o644) },
		"a link":      func() error { return os.Symlink("/etc/hosts", path) },
		"a directory": func() error { return os.Mkdir(path, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := make(); err != nil {
				t.Fatal(err)
			}
			f := consoleLog(root)
			defer f.Close()
			if f.Name() != "/dev/null" {
				t.Errorf("log is %s, want /dev/null", f.Name())
			}
		})
	}
}
