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

// TestAdviseStores: local stores on the file system of the disks are told, made or
// not yet; on one of their own, and none, aren't.
func TestAdviseStores(t *testing.T) {
	state, own := t.TempDir(), t.TempDir()
	if err := unix.Mount("none", own, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(own, 0); err != nil {
			t.Error(err)
		}
	})
	for _, row := range []struct {
		local string
		told  bool
	}{
		{state, true}, {filepath.Join(state, ".local"), true}, {own, false}, {filepath.Join(own, "local"), false},
		{"", false}, {filepath.Join(state, "not/yet"), false},
	} {
		got := adviseStores(Setup{State: state, Local: row.local})
		if (len(got) == 1) != row.told || row.told && !strings.Contains(got[0].Remedy, "local:") {
			t.Errorf("%q: %+v", row.local, got)
		}
	}
}
