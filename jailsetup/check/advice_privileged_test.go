//go:build linux && privileged

package check

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAdviseShares: a share on a file system that lets set-user-id programs work
// is told, one that has it switched off, or isn't there, isn't.
func TestAdviseShares(t *testing.T) {
	mount := func(flags uintptr) string {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", flags, "size=64k"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		return dir
	}
	open, shut := mount(0), mount(unix.MS_NOSUID)
	got := adviseShares([]string{open, shut, filepath.Join(open, "nowhere")})
	if len(got) != 1 || got[0].About != "share "+open || !strings.Contains(got[0].Remedy, "nosuid") {
		t.Errorf("%+v, want %s alone", got, open)
	}
}
