//go:build linux && privileged

package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// TestNoRoom: on a full disk no new deed is recorded, nor half of one, and what
// was recorded before is undone all the same.
func TestNoRoom(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "undo.log")
	log := open(t, path)
	record := func() error {
		u, err := plan.NewUndo("file", filepath.Join(t.TempDir(), strings.Repeat("x", 100)))
		return errors.Join(err, log.Append(u))
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
	recorded := 1
	for ; ; recorded++ { // to the end of the log's last page
		if err := record(); errors.Is(err, unix.ENOSPC) {
			break
		} else if err != nil || recorded > 100 {
			t.Fatalf("%d records: %v", recorded, err)
		}
	}
	if got := len(open(t, path).Pending()); got != recorded {
		t.Errorf("%d records are read, %d were written", got, recorded)
	}
	var order []string
	if err := open(t, path).Unwind(t.Context(), deeds(&order)); err != nil || len(order) != recorded {
		t.Errorf("%d undone of %d: %v", len(order), recorded, err)
	}
}
