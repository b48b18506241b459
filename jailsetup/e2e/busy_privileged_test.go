//go:build linux && privileged

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/lab"
)

// busyUse is how somebody on the host uses a jail's files.
type busyUse struct {
	name   string
	halted bool // the jail
	// begin begins; at is what the complaint must name, end ends it.
	begin func(r *rig, people string) (at string, end func())
}

// busyUses: a directory of the users' mounted below the jail's, and over it, and
// over a file of it; its disk mounted, and attached to a loop device.
func busyUses() []busyUse {
	bindAt := func(name string) func(r *rig, people string) (string, func()) {
		return func(r *rig, people string) (string, func()) {
			at := filepath.Join(r.state(), r.vnodes[0], name)
			if name == "mnt" {
				r.tool("mkdir", at)
			}
			if name == "trace.json" {
				people = filepath.Join(people, "data")
			}
			r.tool("mount", "--bind", people, at)
			return "umount " + at, func() { r.tool("umount", at) }
		}
	}
	return []busyUse{
		{"a mount below the directory", false, bindAt("mnt")},
		{"a mount on the directory", false, bindAt("")},
		{"a mount on a file", true, bindAt("trace.json")},
		{"the disk mounted", false, mountDisk},
		{"the disk mounted, halted", true, mountDisk},
		{"the disk attached, halted", true, func(r *rig, _ string) (string, func()) {
			dev := r.tool("losetup", "--find", "--show", filepath.Join(r.state(), r.vnodes[0], "root.img"))
			return "losetup -d " + dev, func() { r.tool("losetup", "-d", dev) }
		}},
	}
}

func mountDisk(r *rig, _ string) (string, func()) {
	at := r.path("disk")
	if err := os.MkdirAll(at, 0o700); err != nil {
		r.t.Fatal(err)
	}
	r.tool("mount", "-o", "loop", filepath.Join(r.state(), r.vnodes[0], "root.img"), at)
	return "umount " + at, func() { r.tool("umount", at) }
}

// tool runs a program of the host's that has to succeed.
func (r *rig) tool(argv ...string) string {
	r.t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// refuses wants that the verb fails with the remedy, and that the file is there.
func (r *rig) refuses(remedy, kept string, verb ...string) {
	r.t.Helper()
	out := r.jailsetup(verb...)
	if out.code != 1 || !strings.HasSuffix(strings.TrimSpace(out.stderr), "("+remedy+", then the same again)") {
		r.t.Errorf("%s: exit code %d: %q, want %q in it", strings.Join(verb, " "), out.code, out.stderr, remedy)
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "a year of work\n" {
		r.t.Errorf("after %s the users' file has %q (%v)", strings.Join(verb, " "), text, err)
	}
}

// TestS21BusyFilesAreKept: while somebody on the host uses what a kill would
// remove, the kill is refused with nothing lost, also by the next supervisor; then
// the same kill leaves nothing.
func TestS21BusyFilesAreKept(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	people := r.path("people")
	data, dir := filepath.Join(people, "data"), filepath.Join(r.state(), v)
	r.tool("mkdir", people)
	if err := os.WriteFile(data, []byte("a year of work\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, use := range busyUses() {
		t.Run(use.name, func(t *testing.T) {
			r.boot(v)
			r.enter(v, "sh", "-c", "echo precious >/root/work; sync")
			if use.halted {
				r.must("halt", v)
			}
			remedy, end := use.begin(r, people)
			end = sync.OnceFunc(end)
			defer end()
			r.refuses(remedy, data, "kill", v)
			r.refuses(remedy, data, "stop", "--clean")
			if use.halted {
				r.serve.signal(syscall.SIGKILL)
				<-r.serve.ended
				r.startServe()
				r.refuses(remedy, data, "kill", v)
			}
			end()
			if _, err := os.Stat(filepath.Join(dir, "record.json")); err != nil {
				t.Errorf("the record hasn't stayed: %v", err)
			}
			if use.halted { // all of it was left
				r.must("boot", v)
			}
			r.phase(v, jail.Up)
			if got := r.enter(v, "cat", "/root/work"); got != "precious\n" {
				t.Errorf("the jail's own file has %q", got)
			}
			r.must("kill", v)
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the directory is left: %v", err)
			}
			r.noJailLeft()
		})
	}
	t.Run("what all jails share", func(t *testing.T) {
		r.boot(v)
		at := filepath.Join(r.state(), ".templates")
		r.tool("mount", "--bind", people, at)
		r.refuses("umount "+at, data, "stop", "--clean")
		r.tool("umount", at)
		if got := r.enter(v, "echo", "here"); got != "here\n" {
			t.Errorf("a jail has ended: it says %q", got)
		}
	})
	t.Run("of a vnode that passes to another experiment", func(t *testing.T) {
		r.must("halt", v)
		at := filepath.Join(dir, "mnt")
		r.tool("mkdir", at)
		r.tool("mount", "--bind", people, at)
		r.passOn(v)
		r.refuses("umount "+at, data, "boot", v)
		for _, name := range []string{"root.img", "record.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		r.tool("umount", at)
		r.boot(v)
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the first experiment's directory is left")
		}
	})
}

// TestS21DownKeepsWhatIsMounted: the same of down and its lab.
func TestS21DownKeepsWhatIsMounted(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	v := r.vnodes[0]
	for _, at := range []string{"/var", "/run"} { // the host's own lab isn't ours
		if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(at, unix.MNT_DETACH)
	}
	people := r.path("people")
	data, at := filepath.Join(people, "data"), filepath.Join(lab.DefaultDir, "mnt")
	r.tool("mkdir", people)
	if err := os.WriteFile(data, []byte("a year of work\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	verb := func(argv ...string) {
		t.Helper()
		if out := r.run("jailsetup", argv...); out.code != 0 {
			t.Fatal(out.err())
		}
	}
	verb("up", r.path("testbed.yaml"))
	r.tool("mkdir", at)
	r.tool("mount", "--bind", people, at)
	out := r.run("jailsetup", "down")
	if out.code != 1 || !strings.HasSuffix(strings.TrimSpace(out.stderr), "(umount "+at+", then the same again)") {
		t.Errorf("down: exit code %d: %s", out.code, out.stderr)
	}
	if text, err := os.ReadFile(data); err != nil || string(text) != "a year of work\n" {
		t.Errorf("the users' file has %q (%v)", text, err)
	}
	verb("enter", "-T", v, "true")
	r.tool("umount", at)
	verb("down")
	if _, err := os.Lstat(lab.DefaultDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lab is left: %v", err)
	}
	if _, err := os.Lstat(data); err != nil {
		t.Error(err)
	}
}

// TestKilledInRemoval: of a jail whose removal was cut off, after each of its
// deletions, the next supervisor leaves nothing.
func TestKilledInRemoval(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	dir := filepath.Join(r.state(), v)
	order := []string{"root.img", "disk.log", "trace.json", "record.json"} // the record last
	for n := range order {
		t.Run("after "+order[n], func(t *testing.T) {
			r.must("boot", v)
			r.must("halt", v)
			r.serve.signal(syscall.SIGKILL)
			<-r.serve.ended
			for _, name := range order[:n+1] {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			r.startServe()
			if left, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("left: %v (%v)", left, err)
			}
			r.must("kill", v)
			r.noJailLeft()
		})
	}
	t.Run("with something mounted", func(t *testing.T) {
		people, at := r.path("people"), filepath.Join(dir, "mnt")
		r.must("boot", v)
		r.must("halt", v)
		r.serve.signal(syscall.SIGKILL)
		<-r.serve.ended
		r.tool("mkdir", people, at)
		r.write("people/data", "a year of work\n")
		r.tool("mount", "--bind", people, at)
		r.tool("rm", filepath.Join(dir, "root.img"))
		r.startServe()
		r.refuses("umount "+at, filepath.Join(people, "data"), "kill", v)
		r.tool("umount", at)
		r.must("kill", v)
		r.noJailLeft()
	})
}
