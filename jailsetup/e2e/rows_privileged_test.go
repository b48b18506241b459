//go:build linux && privileged

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sharing is a rig whose jails share directories of the host's. Neither
// supervisor nor tmcd-mock is started yet.
func sharing(t *testing.T) (r *rig, people string) {
	t.Helper()
	people, site := peopleDirs(t)
	return newRig(t, set{noServe: true, noMock: true, base: mountingTestbed(), site: "grace: 100ms\n" + site}), people
}

// mountingTestbed is the usual one, with its project's and its user's directories.
func mountingTestbed() string {
	return strings.Replace(testbed, "mounts: none", "mounts: emulabdefault", 1)
}

// peopleDirs makes those directories of the host's, and the lines of the site file
// that share them.
func peopleDirs(t *testing.T) (people, site string) {
	t.Helper()
	people, err := os.MkdirTemp(runDir(), "people")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(people) })
	site = "shares:\n"
	for _, top := range []string{"proj", "users"} {
		site += fmt.Sprintf("  /%s: %s\n", top, filepath.Join(people, top))
	}
	for _, dir := range []string{"proj/jails", "users/alice"} {
		if err := os.MkdirAll(filepath.Join(people, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"proj/jails", "users/alice"} {
		if err := os.Chown(filepath.Join(people, dir), 10001, 6001); err != nil {
			t.Fatal(err)
		}
	}
	return people, site
}

// TestS21UsersDataIsKept: a kill whose directories somebody keeps busy, and
// whose jail has planted links, deletes nothing of the users'. What deletes
// everything below the jail's tree would: it is shown, on a copy.
func TestS21UsersDataIsKept(t *testing.T) {
	r, people := sharing(t)
	v := r.vnodes[0]
	data := filepath.Join(people, "proj/jails/data")
	put := func() {
		if err := errors.Join(os.WriteFile(data, []byte("a year of work\n"), 0o644), os.Chown(data, 10001, 6001)); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() bool { text, err := os.ReadFile(data); return err == nil && string(text) == "a year of work\n" }
	put()
	r.startServe()
	r.startMock()
	r.boot(v)
	if got := r.enter(v, "cat", "/proj/jails/data"); got != "a year of work\n" {
		t.Fatalf("the share shows %q", got)
	}
	r.enter(v, "sh", "-c", "ln -s /proj/jails /root/link; mkdir -p /root/mnt; mount --bind /proj/jails /root/mnt; (cd /proj/jails; exec setsid sleep 1000) </dev/null >/dev/null 2>&1 &")
	t.Run("a kill", func(t *testing.T) {
		r.must("kill", v)
		if !kept() {
			t.Error("the users' data is gone")
		}
	})
	t.Run("without the wall", func(t *testing.T) {
		r.boot(v)
		defer r.must("kill", v)
		defer put()
		// What the original did: remove the tree, mounts and all.
		r.inMounts(t, v, func() error { _ = os.Remove("/proj/jails/data"); return nil })
		if kept() {
			t.Error("a tree that is removed through its mounts keeps its data")
		}
	})
}

// TestT12WhatCannotBeMapped: a share on a file system that can't be idmapped is
// refused, by name, and nothing is left; so is a project's local store.
func TestT12WhatCannotBeMapped(t *testing.T) {
	r, people := sharing(t)
	r.edit("site.yaml", "grace:", "local: "+filepath.Join(people, "local")+"\ngrace:")
	r.startServe()
	r.startMock()
	for _, dir := range []string{"proj/jails", "local/jails"} {
		at := filepath.Join(people, dir)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", at, "ramfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(at, unix.MNT_DETACH)
		out := r.jailsetup("boot", r.vnodes[0])
		if out.code != 1 || !strings.Contains(out.stderr, at) {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.noJailLeft()
		if err := unix.Unmount(at, 0); err != nil {
			t.Errorf("after the boot it is in use: %v", err)
		}
	}
}

// TestS24KeysAreTheJails: the event key and the key hash of one experiment are
// in no jail of another. Where somebody has put one, the search finds it.
func TestS24KeysAreTheJails(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	i.boot(i.c)
	const hash = "5f4dcc3b5aa765d61d8327deb882cf99"
	program := i.putInside(i.c, "inside")
	if got := i.enter(i.c, program, "find", hash); got != "" {
		t.Errorf("the other experiment's jail has it: %s", got)
	}
	for _, dir := range []string{i.state(), i.path("run/jails")} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	i.enter(i.c, "sh", "-c", "echo "+hash+" >/root/hash")
	if got := i.enter(i.c, program, "find", hash); got != "/root/hash\n" {
		t.Errorf("planted, it isn't found: %q", got)
	}
}

// TestS31Overcommitted: where the operator says so, disks are promised twice:
// nothing else stands in the way.
func TestS31Overcommitted(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true, site: "overcommit: true"})
	r.ownDisk("180m")
	r.startServe()
	r.startMock()
	r.must("boot", r.vnodes[0])
	r.must("boot", r.vnodes[1])
}

// TestS27ANaiveHostFollows: what a careless host would do with what TestPlanted
// plants: it writes to its own files.
func TestS27ANaiveHostFollows(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	canary := r.canary()
	r.boot(v)
	r.must("halt", v)
	before := strings.Join(r.untouched(canary), "\n")
	r.onDisk(v, func(root string) {
		path := filepath.Join(root, "var/emulab/boot")
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(canary, "boot"), path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "myip"), []byte("172.16.1.1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if strings.Join(r.untouched(canary), "\n") == before {
		t.Error("a write through the planted link doesn't reach the host's file")
	}
}

// TestS9WithoutThePrograms: a jail that shares an address binds what it likes
// once the programs at its cgroup are gone.
func TestS9WithoutThePrograms(t *testing.T) {
	r := newSharedRig(t)
	v := r.vnodes[0]
	r.boot(v)
	inside := r.putInside(v, "inside")
	bind := func() string {
		return strings.TrimSpace(r.enter(v, inside, "ports", "tcp", ":29999", "30000", "30255"))
	}
	if got := bind(); got != "operation not permitted" {
		t.Errorf("with them: %s", got)
	}
	r.dropBindPrograms(t, v)
	if got := bind(); got != "ok" {
		t.Errorf("without them: %s", got)
	}
}

// TestT16SharedTables: one jail takes all that it gets of the kernel's tables,
// and holds it; another boots meanwhile, and asks tmcd.
func TestT16SharedTables(t *testing.T) {
	r := newRig(t, set{})
	a, b := r.vnodes[0], r.vnodes[1]
	r.boot(a)
	inside := r.putInside(a, "inside")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := r.command(ctx, "jailsetup", "--site", r.path("site.yaml"), "enter", "-T", a, inside, "exhaust")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 512); !strings.Contains(said.String(), "holding"); {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
	t.Logf("%s", said.String())
	if strings.Contains(said.String(), "without end") {
		t.Errorf("a table without a bound: %s", said.String())
	}
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
		t.Errorf("the host gets no inotify instance: %v", err)
	} else {
		unix.Close(fd)
	}
	r.boot(b)
	if got := r.enter(b, "tmcc", "status"); !strings.Contains(got, "node-b") {
		t.Errorf("tmcc status says %q", got)
	}
	// As much as the first one got is there for the second.
	if got, _, _ := strings.Cut(r.enter(b, r.putInside(b, "inside"), "exhaust"), "\n"); !strings.HasPrefix(said.String(), got+"\n") {
		t.Errorf("the other jail: %s; the first one: %s", got, said.String())
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // its processes are killed as it ends
}

// offenders are files below dir that others than root may read, or that hold
// one of the words; disks aside. The hub's records hold the event key, which it
// signs with.
func offenders(t *testing.T, dir string, words ...string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) == ".img" || strings.Contains(path, ".templates") || strings.Contains(path, ".programs") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		if info.Mode().Perm()&0o077 != 0 {
			list = append(list, fmt.Sprintf("%s has mode %o", path, info.Mode().Perm()))
		}
		text, err := os.ReadFile(path)
		for _, w := range words {
			if err == nil && bytes.Contains(text, []byte(w)) && !strings.Contains(path, "/.events/") {
				list = append(list, path+" holds "+w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestT49RecordsAreRoots: what the host keeps of a jail is root's alone, and the
// experiment's keys are in no record, log, trace, plan or list; a file that is
// open, or holds one, is found.
func TestT49RecordsAreRoots(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	keys := []string{"5f4dcc3b5aa765d61d8327deb882cf99", "9e107d9d372bb6826bd81d3542a419d6"}
	if got := offenders(t, r.state(), keys...); len(got) > 0 {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	said := r.must("list", "--json") + r.must("boot", "-n", r.vnodes[1]) + r.must("status", "--json", v) + r.must("proxy", "status", "--json") + r.read("jailsetup.log")
	for _, key := range keys {
		if strings.Contains(said, key) {
			t.Errorf("%s is said", key)
		}
	}
	loose := filepath.Join(r.state(), v, "loose")
	if err := os.WriteFile(loose, []byte(keys[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(loose)
	if got := offenders(t, r.state(), keys...); len(got) != 2 {
		t.Errorf("a loose file is not found: %v", got)
	}
}
