//go:build linux && privileged

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTree is row 4 of jail.md §10: what a jail has for a tree.
func TestTree(t *testing.T) {
	people, site := peopleDirs(t)
	p := newPairOf(t, mountingTestbed(), site)
	for _, dir := range []string{"/etc", "/root", "/var", "/tmp", "/opt"} {
		t.Run("private "+dir, func(t *testing.T) { p.privateDir(t, dir) })
	}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/usr"} {
		t.Run("the host's programs, read-only: "+dir, func(t *testing.T) { p.readOnlyDir(t, dir) })
	}
	t.Run("the devices of §2.5", p.devices)
	t.Run("/local/logs", func(t *testing.T) { p.privateDir(t, "/local/logs") })
	t.Run("/local/<project>", func(t *testing.T) {
		p.enter(p.a, "su", "alice", "-c", "echo hers >/local/jails/hers")
		if got := p.enter(p.b, "stat", "-c", "%U:%G", "/local/jails/hers"); got != "alice:jails\n" {
			t.Errorf("in the other jail it is %q", got)
		}
	})
	t.Run("user mounts with correct owners", func(t *testing.T) { p.userMounts(t, people) })
	t.Run("resolv.conf", func(t *testing.T) {
		if got := p.enter(p.a, "stat", "-Lc", "%U %F", "/etc/resolv.conf"); got != "root regular file\n" {
			t.Errorf("%q", got)
		}
		for line := range strings.Lines(p.enter(p.a, "cat", "/etc/resolv.conf")) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" && strings.HasPrefix(fields[1], "127.") {
				t.Errorf("%q: that is the jail itself", line)
			}
		}
	})
	t.Run("sshd", p.sshd)
	t.Run("no secrets", p.secrets)
}

// privateDir wants a directory that the jail's root writes, and that neither the
// other jail nor the host sees any of.
func (p *pair) privateDir(t *testing.T, dir string) {
	mark := filepath.Join(dir, "mark-"+runKey())
	p.enter(p.a, "sh", "-c", "echo a >"+mark)
	if out := p.jailsetup("enter", "-T", p.b, "cat", mark); out.code == 0 {
		t.Errorf("the other jail reads %q", out.stdout)
	}
	if _, err := os.Lstat(mark); err == nil {
		t.Error("it is on the host")
	}
	if got := p.enter(p.a, "cat", mark); got != "a\n" {
		t.Errorf("the jail itself reads %q", got)
	}
}

// readOnlyDir wants the host's directory, and nobody inside to write it.
func (p *pair) readOnlyDir(t *testing.T, dir string) {
	out := p.jailsetup("enter", "-T", p.a, "touch", dir+"/mark")
	if out.code == 0 || !strings.Contains(out.stderr, "Read-only file system") {
		t.Errorf("touch: exit code %d: %s", out.code, out.stderr)
	}
	inside := p.enter(p.a, "sh", "-c", "ls -1 "+dir+"/ | head -n 5")
	for name := range strings.Lines(inside) {
		if _, err := os.Lstat(filepath.Join(dir, strings.TrimSpace(name))); err != nil {
			t.Errorf("the host hasn't what the jail has: %v", err)
		}
	}
	if inside == "" {
		t.Error("empty")
	}
}

// userMounts wants the project's and the user's directories of the host, whose
// owners keep their names.
func (p *pair) userMounts(t *testing.T, people string) {
	for dir, host := range map[string]string{"/proj/jails": "proj/jails", "/users/alice": "users/alice"} {
		if got := p.enter(p.a, "stat", "-c", "%U:%G", dir); got != "alice:jails\n" {
			t.Errorf("%s is of %q", dir, got)
		}
		p.enter(p.a, "su", "alice", "-c", "echo hers >"+dir+"/hers")
		if got := owned(filepath.Join(people, host, "hers")); !strings.HasSuffix(got, " 10001:6001") {
			t.Errorf("alice's file in %s is %s on the host", dir, got)
		}
		if got := p.enter(p.b, "stat", "-c", "%U:%G", dir+"/hers"); got != "alice:jails\n" {
			t.Errorf("in the other jail it is of %q", got)
		}
	}
}

// sshd wants one that answers at the jail's own address, and forwards no X11.
func (p *pair) sshd(t *testing.T) {
	if got := p.enter(p.a, "sh", "-c", "/usr/sbin/sshd -T | grep -i ^x11forwarding"); got != "x11forwarding no\n" {
		t.Errorf("%q", got)
	}
	p.await("sshd to answer", func() error {
		got, err := bannerAt(p.address(p.a) + ":22")
		if err == nil && !strings.HasPrefix(got, "SSH-") {
			err = fmt.Errorf("it says %q", got)
		}
		return err
	})
}
