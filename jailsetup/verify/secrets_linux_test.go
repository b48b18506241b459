package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWalk: every entry is visited once; of a directory without end a part is
// read, and no more of it is held.
func TestWalk(t *testing.T) {
	dir := t.TempDir()
	const files = 5000
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(deep, fmt.Sprintf("%05d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	seen := map[string]bool{}
	note := func(path string, info fs.FileInfo) (bool, error) { seen[path] = true; return info.IsDir(), nil }
	later := time.Now().Add(time.Minute)
	if err := walk(root, files+2, later, note); err != nil || len(seen) != files+2 || !seen["a/b/00042"] {
		t.Errorf("%d entries, %v", len(seen), err)
	}
	if err := walk(root, files+1, later, note); !errors.Is(err, errLong) {
		t.Errorf("one too many: %v", err)
	}
	if err := walk(root, files+2, time.Now(), note); !errors.Is(err, errLong) {
		t.Errorf("too late: %v", err)
	}
	least := testing.AllocsPerRun(1, func() {
		if err := walk(root, 10, later, func(_ string, info fs.FileInfo) (bool, error) { return info.IsDir(), nil }); !errors.Is(err, errLong) {
			t.Errorf("ten entries: %v", err)
		}
	})
	if least > files/5 {
		t.Errorf("%v allocations for ten entries", least)
	}
	stop := errors.New("found")
	if err := walk(root, files+2, later, func(string, fs.FileInfo) (bool, error) { return false, stop }); !errors.Is(err, stop) {
		t.Errorf("what was found: %v", err)
	}
}
