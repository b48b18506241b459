//go:build linux && privileged

package jail

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/protocol"
)

// below lists what is below dir: path, mode, owner.
func below(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		list = append(list, fmt.Sprintf("%s %s %d:%d", strings.TrimPrefix(path, dir+"/"), info.Mode(), st.Uid, st.Gid))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestStore: a project's local store has the modes of the specification, whatever
// the umask, and owners who let the jails' people in. What is there stays as it is,
// links included; what a killed process has half made is made good.
func TestStore(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	state := t.TempDir()
	site := Site{State: state}
	run := func(t *testing.T) {
		t.Helper()
		s, note := site.storeOf("pcvm1-1", protocol.Status{PID: "jails", EID: "demo"})
		if s == nil || note != "" {
			t.Fatalf("no store: %s", note)
		}
		if undo, err := s.Undo(); len(undo) > 0 || err != nil {
			t.Errorf("undo %v, %v: the store is people's", undo, err)
		}
		if err := s.Do(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	made := []string{
		".local drwx------ 0:0",
		".local/jails drwxrwxrwx 65534:65534",
		".local/jails/demo drwxrwxrwx 65534:65534",
		".local/jails/pcvm1-1 drwxrwxr-x 65534:65534",
	}
	check := func(t *testing.T, want ...string) {
		t.Helper()
		if got := below(t, state); !slices.Equal(got, want) {
			t.Errorf("there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	store := filepath.Join(state, ".local/jails")
	t.Run("made", func(t *testing.T) { run(t); check(t, made...) })
	t.Run("half made", func(t *testing.T) {
		for _, name := range []string{"demo", "."} {
			if err := os.Chown(filepath.Join(store, name), 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(store, 0o700); err != nil {
			t.Fatal(err)
		}
		run(t)
		check(t, made...)
	})
	t.Run("its people's own modes stay", func(t *testing.T) {
		for _, name := range []string{"demo", "."} {
			if err := os.Chown(filepath.Join(store, name), 10001, 6001); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(store, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		run(t)
		check(t, made[0], ".local/jails drwx------ 10001:6001", ".local/jails/demo drwx------ 10001:6001", made[3])
	})
	t.Run("a link in a directory's place is not followed", func(t *testing.T) {
		target := t.TempDir()
		if err := os.Chmod(target, 0o700); err != nil { // as if we had half made it
			t.Fatal(err)
		}
		before := below(t, filepath.Dir(target))
		for _, name := range []string{"demo", "pcvm1-1"} {
			if err := os.Remove(filepath.Join(store, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(store, "demo")); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(store, "pcvm1-1"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t)
		if after := below(t, filepath.Dir(target)); !slices.Equal(after, before) {
			t.Errorf("the link's target was\n%v\nand is\n%v", before, after)
		}
	})
	t.Run("a link in the store's place is no store", func(t *testing.T) {
		s, _ := site.storeOf("pcvm1-1", protocol.Status{PID: "other", EID: "demo"})
		if err := os.Symlink(t.TempDir(), filepath.Join(state, ".local/other")); err != nil {
			t.Fatal(err)
		}
		if err := s.Do(t.Context(), nil); err == nil || !strings.Contains(err.Error(), ".local/other") {
			t.Errorf("made: %v", err)
		}
	})
}

// TestRemoveEmptyStores: with the last jail go stores without content. A file in
// one keeps it, as it is.
func TestRemoveEmptyStores(t *testing.T) {
	site := Site{State: t.TempDir()}
	for _, pid := range []string{"bare", "used"} {
		s, _ := site.storeOf("pcvm1-1", protocol.Status{PID: pid, EID: "demo"})
		if err := s.Do(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(site.LocalStores(), "used/demo/work")
	if err := os.WriteFile(work, []byte("a year"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := filepath.Join(site.LocalStores(), "used")
	before := below(t, used)
	if err := site.RemoveShared(); err != nil {
		t.Fatal(err)
	}
	stores, err := site.Stores()
	if err != nil || !slices.Equal(stores, []string{used}) || !slices.Equal(below(t, used), before) {
		t.Errorf("left are %v (%v), with %v", stores, err, below(t, used))
	}
	if err := os.Remove(work); err != nil {
		t.Fatal(err)
	}
	if err := site.RemoveShared(); err != nil {
		t.Fatal(err)
	}
	if left := below(t, site.State); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
