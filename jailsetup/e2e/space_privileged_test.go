//go:build linux && privileged

package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// ownDisk gives the state directory a file system of its own, of that size, on
// which nobody else writes. Neither supervisor nor tmcd-mock is started yet.
func (r *rig) ownDisk(size string) {
	r.t.Helper()
	if err := os.RemoveAll(r.state()); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Mkdir(r.state(), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("none", r.state(), "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		r.t.Fatal(err)
	}
	r.diskMounted = true
}

// TestSpace: the host's disk can't be promised twice (S31). There is room for
// one disk of 64 MiB, not for two, though both would start out small.
func TestSpace(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	r.ownDisk("180m")
	r.startServe()
	r.startMock()
	first, second := r.vnodes[0], r.vnodes[1]
	r.must("boot", first)
	refused := func(t *testing.T) {
		t.Helper()
		out := r.jailsetup("boot", second)
		if out.code != 3 || !strings.Contains(out.stderr, "no room for a disk of 64 MiB") || !strings.Contains(out.stderr, "overcommit: true") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		if _, ok := r.info(second); ok {
			t.Error("something of it is left")
		}
		r.reports(second, "TBFAILED")
	}
	t.Run("the second is refused", refused)
	t.Run("halted, the first keeps its room", func(t *testing.T) {
		r.must("halt", first)
		refused(t)
		r.must("boot", first)
		r.phase(first, jail.Up)
	})
	t.Run("a new supervisor knows it too", func(t *testing.T) {
		r.must("stop")
		<-r.serve.ended
		r.startServe()
		refused(t)
	})
	t.Run("killed, it gives it back", func(t *testing.T) {
		r.must("kill", first)
		r.must("boot", second)
	})
}
