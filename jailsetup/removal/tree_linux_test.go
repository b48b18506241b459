package removal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// plant makes files, links (NAME -> TARGET) and, with a slash at the end,
// directories below dir.
func plant(t testing.TB, dir string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		name, target, isLink := strings.Cut(e, " -> ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		default:
			err = os.WriteFile(path, []byte(name), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestTree(t *testing.T) {
	for _, row := range []struct {
		name    string
		entries []string
	}{
		{"nothing", nil},
		{"a file", []string{"tree"}},
		{"a directory", []string{"tree/"}},
		{"directories with files and links", []string{"tree/a", "tree/d/e/f", "tree/d/up -> ../..", "tree/empty/", "tree/nowhere -> /nowhere"}},
		{"a link to a directory", []string{"tree -> outside"}},
		{"links to a directory, below", []string{"tree/link -> ../outside", "tree/d/link -> ../../outside", "tree/file -> ../outside/kept"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, row.entries...)
			plant(t, dir, "outside/kept", "treehouse/kept")
			if err := Tree(filepath.Join(dir, "tree"), "a"); err != nil {
				t.Fatal(err)
			}
			if there(filepath.Join(dir, "tree")) {
				t.Error("it is still there")
			}
			for _, kept := range []string{"outside/kept", "treehouse/kept"} {
				if !there(filepath.Join(dir, kept)) {
					t.Errorf("%s is gone", kept)
				}
			}
		})
	}
	if err := Tree(filepath.Join(t.TempDir(), "no/such")); err != nil {
		t.Errorf("nothing in no directory: %v", err)
	}
}

// TestMany: more entries than are held at once all go, the last ones too.
func TestMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	for i := range 3*batch + 7 {
		plant(t, dir, "f"+strings.Repeat("x", i%50)+string(rune('a'+i/50)))
	}
	if err := Tree(dir, "fa", "fb"); err != nil || there(dir) {
		t.Errorf("%v; still there: %t", err, there(dir))
	}
}

// TestLast: a removal that doesn't get to its end leaves what goes last.
func TestLast(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "tree/a-record", "tree/other", "tree/z-record", "tree/"+strings.Repeat("d/", maxDepth+1))
	tree := filepath.Join(dir, "tree")
	if err := Tree(tree, "z-record", "a-record"); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Errorf("a tree without a bottom: %v", err)
	}
	if !there(filepath.Join(tree, "a-record")) || !there(filepath.Join(tree, "z-record")) {
		t.Error("a record has gone before the rest")
	}
	w := walk{left: 2 + 2} // the directory, the rest, and one of the two that go last
	if err := os.RemoveAll(filepath.Join(tree, "d")); err != nil {
		t.Fatal(err)
	}
	plant(t, tree, "other", "more")
	parent, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	if err := w.remove(parent, "tree", 0, []string{"z-record", "a-record"}); err == nil || !strings.Contains(err.Error(), "entries") {
		t.Errorf("a tree without an end: %v", err)
	}
	if !there(filepath.Join(tree, "a-record")) || there(filepath.Join(tree, "z-record")) || there(filepath.Join(tree, "other")) {
		t.Error("not in the order that was asked for")
	}
}

// TestSwapped: what was a directory when it was looked at, and is a link when it
// is opened, isn't entered.
func TestSwapped(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "outside/kept", "tree/link -> ../outside", "tree/out -> /", "tree/file")
	parent, err := os.Open(filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	for name, want := range map[string]error{"link": unix.ELOOP, "out": unix.ELOOP, "..": unix.EXDEV, "file": unix.ENOTDIR} {
		f, err := openBelow(parent, name)
		if err == nil {
			f.Close()
		}
		use := (*UseError)(nil)
		if !errors.Is(err, want) && !(want == unix.EXDEV && errors.As(err, &use)) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestSwaps: while trees are removed, somebody exchanges a directory in them with
// a link to a directory outside, over and over.
func TestSwaps(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "outside/kept")
	stop, ended := make(chan struct{}), make(chan int, 1)
	one, other := filepath.Join(dir, "tree/one"), filepath.Join(dir, "tree/other")
	go func() {
		swaps := 0
		for {
			select {
			case <-stop:
				ended <- swaps
				return
			default:
			}
			if unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE) == nil {
				swaps++
			}
		}
	}()
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	refused := 0
	for range 300 {
		plant(t, dir, "new/one/kept", "new/other -> "+filepath.Join(dir, "outside"))
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "tree")); err != nil {
			t.Fatal(err)
		}
		if err := Tree(filepath.Join(dir, "tree")); err != nil {
			refused++
			left := filepath.Join(dir, "left") // where nobody swaps
			if err := errors.Join(os.Rename(filepath.Join(dir, "tree"), left), Tree(left)); err != nil {
				t.Fatal(err)
			}
		}
		if !there(filepath.Join(dir, "outside/kept")) {
			t.Fatal("what is outside has gone")
		}
	}
	end()
	t.Logf("%d swaps, %d removals stopped", <-ended, refused)
}
