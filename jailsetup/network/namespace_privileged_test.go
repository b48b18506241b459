//go:build linux && privileged

package network

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A directory of pins whose maker was killed between its mount and what makes
// that private is private once it is used.
func TestPinDirPrivate(t *testing.T) {
	runDir := t.TempDir()
	dir := pinDir(runDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	if !sharedMount(t, dir) {
		t.Fatal("the mount isn't shared to begin with")
	}
	if err := ensurePinDir(runDir); err != nil {
		t.Fatal(err)
	}
	if sharedMount(t, dir) {
		t.Error("the mount is shared still: pins reach other mount namespaces")
	}
}

// sharedMount says whether a mount's changes reach others. It must be the only
// one there.
func sharedMount(t *testing.T, dir string) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for line := range strings.Lines(string(text)) {
		if strings.Fields(line)[4] == dir {
			at = append(at, line)
		}
	}
	if len(at) != 1 {
		t.Fatalf("mounts on %s: %q", dir, at)
	}
	return strings.Contains(at[0], " shared:")
}
