//go:build linux && privileged

package removal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// bind mounts from at at, until the test's end or until it is called.
func bind(t *testing.T, from, at string) (undo func()) {
	t.Helper()
	if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	undo = func() {
		if mounted {
			if err := unix.Unmount(at, 0); err != nil {
				t.Error(err)
			}
		}
		mounted = false
	}
	t.Cleanup(undo)
	return undo
}

// refused wants an error that names the use.
func refused(t *testing.T, err error, path, remedy string) {
	t.Helper()
	use := (*UseError)(nil)
	if !errors.As(err, &use) || use.Path != path || use.Remedy != remedy {
		t.Errorf("says %v; want of %s: %s", err, path, remedy)
	}
}

// TestMounted: with something mounted in it, a tree stays whole; without, it goes.
func TestMounted(t *testing.T) {
	for _, at := range []string{"tree", "tree/d", "tree/d/e", "tree/file"} {
		t.Run(at, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			plant(t, dir, "people/kept", "people/e/", "tree/a/file", "tree/d/e/", "tree/file", "tree/z")
			from, point, tree := filepath.Join(dir, "people"), filepath.Join(dir, at), filepath.Join(dir, "tree")
			if at == "tree/file" {
				from = filepath.Join(from, "kept")
			}
			umount := bind(t, from, point)
			kept := func(paths ...string) {
				t.Helper()
				for _, p := range paths {
					if !there(filepath.Join(dir, p)) {
						t.Errorf("%s is gone", p)
					}
				}
			}
			refused(t, Tree(tree), tree, "umount "+point)
			refused(t, Tree(filepath.Join(dir, "link/../tree")), tree, "umount "+point)
			umount()
			kept("people/kept", "people/e", "tree/a/file", "tree/d/e", "tree/file", "tree/z")
			if err := Tree(tree); err != nil || there(tree) {
				t.Errorf("unmounted: %v; still there: %t", err, there(tree))
			}
			kept("people/kept", "people/e")
		})
	}
}

// TestMountedByAnotherName: a path that leads through a link is looked at where
// it lies.
func TestMountedByAnotherName(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "people/kept", "real/tree/d/", "var -> real")
	tree, point := filepath.Join(dir, "var/tree"), filepath.Join(dir, "real/tree/d")
	bind(t, filepath.Join(dir, "people"), point)
	refused(t, Tree(tree), tree, "umount "+point)
	if !there(filepath.Join(dir, "people/kept")) {
		t.Error("it was removed through a mount")
	}
}

// TestMountedMeanwhile: what is mounted after the look is not entered: neither a
// directory of the same file system, nor another, nor a file.
func TestMountedMeanwhile(t *testing.T) {
	for name, mount := range map[string]func(dir, at string) error{
		"a directory": func(dir, at string) error {
			return unix.Mount(filepath.Join(dir, "people"), at, "", unix.MS_BIND, "")
		},
		"a file system": func(_, at string) error { return unix.Mount("none", at, "tmpfs", 0, "") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, "people/kept", "tree/d/")
			at := filepath.Join(dir, "tree/d")
			if err := mount(dir, at); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(at, 0)
			plant(t, at, "kept")
			parent, err := os.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer parent.Close()
			w := walk{left: maxEntries}
			refused(t, w.remove(parent, "tree", 0, nil), at, "umount "+at)
			if !there(filepath.Join(at, "kept")) || !there(filepath.Join(dir, "people/kept")) {
				t.Error("it was removed through a mount")
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		dir := t.TempDir()
		plant(t, dir, "kept", "tree/file")
		at := filepath.Join(dir, "tree/file")
		bind(t, filepath.Join(dir, "kept"), at)
		parent, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer parent.Close()
		w := walk{left: maxEntries}
		refused(t, w.remove(parent, "tree", 0, nil), at, "umount "+at)
	})
}

// TestBusy: a mount that can't be taken away, because somebody works there, keeps
// the tree; when he has gone, it goes.
func TestBusy(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "tree/mnt/", "tree/a")
	tree, at := filepath.Join(dir, "tree"), filepath.Join(dir, "tree/mnt")
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(at, "work"))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, Tree(tree), tree, "umount "+at)
	if err := unix.Unmount(at, 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("it isn't busy: %v", err)
	}
	if !there(f.Name()) || !there(filepath.Join(tree, "a")) {
		t.Error("something is lost")
	}
	if err := errors.Join(f.Close(), unix.Unmount(at, 0), Tree(tree)); err != nil || there(tree) {
		t.Errorf("no longer busy: %v; still there: %t", err, there(tree))
	}
}
