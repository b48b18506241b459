//go:build linux && privileged

package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// targets are what the host mounts on, or the jail's init writes below: each
// is a path that jail root may have replaced. Those that keep no boot from
// coming about are tried together.
var targets = [][]string{
	{"usr"}, {"dev"}, {"proc"}, {"sys"}, {"run"}, {"usr/local"},
	{"local"}, {"local/jails"}, {"etc", "var", "root", "tmp"}, {"var/emulab"}, {"var/emulab/boot", "home", "opt"},
}

// plants are what jail root puts in a target's place.
var plants = []struct {
	name string
	put  func(path, canary string) error
}{
	{"a link to a host's directory", func(path, canary string) error { return os.Symlink(canary, path) }},
	{"a link up and out", func(path, canary string) error {
		return os.Symlink(strings.Repeat("../", 20)+strings.TrimPrefix(canary, "/"), path)
	}},
	{"a file", func(path, _ string) error { return os.WriteFile(path, []byte("x"), 0o644) }},
	{"a fifo", func(path, _ string) error { return unix.Mkfifo(path, 0o666) }},
}

// TestPlanted: the host never follows a path that a jail controls (S27, T7).
// Each boot fails cleanly and names the place, or is a boot; the host's files
// are as before.
func TestPlanted(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	canary := r.canary()
	r.boot(v)
	r.must("halt", v)
	start := quiet(t)
	before := r.untouched(canary)
	booted := 0
	for _, target := range targets {
		for _, plant := range plants {
			t.Run(strings.Join(target, " ")+" is "+plant.name, func(t *testing.T) {
				r.onDisk(v, func(root string) {
					for _, name := range target {
						path := filepath.Join(root, name)
						if err := errors.Join(os.Rename(path, path+".orig"), plant.put(path, canary)); err != nil {
							t.Fatal(err)
						}
					}
				})
				out := r.jailsetup("boot", v)
				if out.code == 0 {
					booted++
					r.must("halt", v)
				} else if said := out.complaint(); !strings.Contains(said, " /"+target[0]) {
					t.Errorf("exit code %d: %s", out.code, out.stderr)
				}
				if err := r.isAs(start); err != nil {
					t.Errorf("left:\n%v", err)
				}
				if after := r.untouched(canary); !slices.Equal(after, before) {
					t.Errorf("the host's files were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
				}
				r.onDisk(v, func(root string) {
					for _, name := range target {
						path := filepath.Join(root, name)
						if err := errors.Join(os.RemoveAll(path), os.Rename(path+".orig", path)); err != nil {
							t.Fatal(err)
						}
					}
				})
			})
		}
	}
	t.Run("put back, it boots", func(t *testing.T) { r.boot(v) })
	t.Logf("%d of %d booted", booted, len(targets)*len(plants))
}

// TestSmuggled: what only the host's root could have put on a jail's disk is
// no use inside (S16), and a setuid file of the jail's none outside (T10).
func TestSmuggled(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.must("halt", v)
	r.onDisk(v, func(root string) {
		for name, dev := range map[string]uint64{"null": unix.Mkdev(1, 3), "mem": unix.Mkdev(1, 1), "loop0": unix.Mkdev(7, 0)} {
			mode := uint32(unix.S_IFCHR)
			if name == "loop0" {
				mode = unix.S_IFBLK
			}
			if err := unix.Mknod(filepath.Join(root, "root", name), mode|0o666, int(dev)); err != nil {
				t.Fatal(err)
			}
		}
	})
	r.boot(v)
	for _, name := range []string{"null", "mem", "loop0"} {
		out := r.jailsetup("enter", v, "cat", "/root/"+name)
		if out.code == 0 || !strings.Contains(out.stderr, "ermission denied") {
			t.Errorf("cat %s: exit code %d: %s%s", name, out.code, out.stdout, out.stderr)
		}
	}
}

// canary makes a tree of the host's that nobody may touch.
func (r *rig) canary() string {
	r.t.Helper()
	dir := r.path("canary")
	for _, d := range []string{"", "pts", "shm", "emulab", "emulab/boot", "boot", "local", "local/bin", "sys", "sys/net", "log", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o777); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, f := range []string{"passwd", "null", "emulab/boot/myip", "boot/myip", "log/messages"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("canary\n"), 0o666); err != nil {
			r.t.Fatal(err)
		}
	}
	return dir
}

// untouched lists the canary with contents, and what else of the host a
// careless helper would write to.
func (r *rig) untouched(canary string) []string {
	r.t.Helper()
	var all []string
	err := filepath.WalkDir(canary, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [sha256.Size]byte
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(data)
		}
		st := info.Sys().(*syscall.Stat_t)
		all = append(all, fmt.Sprintf("%s %s %d:%d %s %x", path, info.Mode(), st.Uid, st.Gid, info.ModTime(), sum[:4]))
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, path := range []string{"/etc/passwd", "/etc/shadow", "/etc/hosts", "/usr/local/bin", "/var/emulab/boot", "/dev/null"} {
		if info, err := os.Lstat(path); err == nil {
			all = append(all, fmt.Sprintf("%s %s", path, info.Mode()))
		} else {
			all = append(all, path+" isn't there")
		}
	}
	return all
}

// onDisk mounts the disk of a halted jail and gives it to f.
func (r *rig) onDisk(vnode string, f func(root string)) {
	r.t.Helper()
	root := r.path("disk")
	if err := os.MkdirAll(root, 0o700); err != nil {
		r.t.Fatal(err)
	}
	image := filepath.Join(r.state(), vnode, "root.img")
	if out, err := exec.Command("mount", "-o", "loop", image, root).CombinedOutput(); err != nil {
		r.t.Fatalf("mount: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
			r.t.Fatalf("umount: %v: %s", err, out)
		}
	}()
	f(root)
}
