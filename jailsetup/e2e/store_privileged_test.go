//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// store is where the host has the local store of the rig's project.
func (r *rig) store() string { return filepath.Join(r.state(), ".local/jails") }

// owned is what the host says of a file: mode, user and group.
func owned(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d", info.Mode(), st.Uid, st.Gid)
}

// TestLocalStore: the jails of a project share /local/<pid> on this host, beside
// /local/logs, which is each one's own. What their people leave there outlives the
// jails, and the supervisor's end with everything else.
func TestLocalStore(t *testing.T) {
	r := newRig(t, set{})
	a, b := r.vnodes[0], r.vnodes[1]
	r.boot(a)
	r.boot(b)
	in := func(vnode, user, line string) string {
		t.Helper()
		return r.must("enter", "-T", "-u", user, vnode, "sh", "-c", line)
	}
	t.Run("the specification's directories and modes", func(t *testing.T) {
		for dir, want := range map[string]string{"": "drwxrwxrwx", "demo": "drwxrwxrwx", a: "drwxrwxr-x", b: "drwxrwxr-x"} {
			if got, want := owned(filepath.Join(r.store(), dir)), want+" 65534:65534"; got != want {
				t.Errorf("%s: %s, want %s", dir, got, want)
			}
		}
	})
	t.Run("a user's file is the project's, and another jail's user reads it", func(t *testing.T) {
		in(a, "alice", "echo shared >/local/jails/demo/word")
		if got := in(b, "alice", "cat /local/jails/demo/word; stat -c %U:%G /local/jails/demo/word"); got != "shared\nalice:jails\n" {
			t.Errorf("%q", got)
		}
		if got := owned(filepath.Join(r.store(), "demo/word")); !strings.HasSuffix(got, " 10001:6001") {
			t.Errorf("the host has it as %s", got)
		}
	})
	t.Run("logs are hidden by nothing, and each jail's own", func(t *testing.T) {
		r.enter(a, "sh", "-c", "echo mine >/local/logs/mine")
		if got := r.enter(a, "sh", "-c", "ls /local/logs; ls -d /local/*"); got != "mine\n/local/jails\n/local/logs\n" {
			t.Errorf("%q", got)
		}
		if got := r.enter(b, "ls", "/local/logs"); got != "" {
			t.Errorf("the other's: %q", got)
		}
	})
	t.Run("the rest of /local is the jail's disk", func(t *testing.T) {
		r.enter(a, "sh", "-c", "mkdir /local/tool && echo data >/local/tool/data")
		r.must("reboot", a)
		r.reports(a, "ISUP")
		if got := r.enter(a, "cat", "/local/tool/data", "/local/logs/mine", "/local/jails/demo/word"); got != "data\nmine\nshared\n" {
			t.Errorf("after a reboot %q", got)
		}
	})
	t.Run("nobody is let out of it", func(t *testing.T) {
		for _, line := range []string{"rmdir /local/jails", "mv /local/jails /local/gone", "umount /local/jails", "mount -o remount,dev,suid /local/jails"} {
			if out := r.jailsetup("enter", "-T", a, "sh", "-c", line); out.code == 0 {
				t.Errorf("%s succeeds", line)
			}
		}
	})
	t.Run("a kill leaves it", func(t *testing.T) {
		r.must("kill", a)
		r.must("kill", b)
		if text, err := os.ReadFile(filepath.Join(r.store(), "demo/word")); err != nil || string(text) != "shared\n" {
			t.Errorf("%q, %v", text, err)
		}
		r.boot(a)
		if got := in(a, "alice", "cat /local/jails/demo/word; ls /local"); got != "shared\njails\nlogs\n" {
			t.Errorf("a new jail has %q", got)
		}
	})
	t.Run("stop --clean leaves and names it", func(t *testing.T) {
		out := r.must("stop", "--clean")
		<-r.serve.ended
		if !strings.Contains(out, "kept: "+r.store()+"\n") {
			t.Errorf("says %q", out)
		}
		if text, err := os.ReadFile(filepath.Join(r.store(), "demo/word")); err != nil || string(text) != "shared\n" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestLocalStoreElsewhere: the site file says where stores lie, also that there are
// none.
func TestLocalStoreElsewhere(t *testing.T) {
	elsewhere := filepath.Join(runDir(), "elsewhere")
	defer os.RemoveAll(elsewhere)
	for local, want := range map[string]string{elsewhere: "/local/jails\n/local/logs\n", "none": "/local/logs\n"} {
		t.Run(filepath.Base(local), func(t *testing.T) {
			r := newRig(t, set{site: "local: " + local})
			v := r.vnodes[0]
			r.boot(v)
			if got := r.enter(v, "sh", "-c", "ls -d /local/*"); got != want {
				t.Errorf("%q", got)
			}
			if _, err := os.Stat(r.store()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("below the state directory: %v", err)
			}
			if local == "none" {
				return
			}
			if got := owned(filepath.Join(local, "jails/demo")); got != "drwxrwxrwx 65534:65534" {
				t.Errorf("there it is %s", got)
			}
		})
	}
}
