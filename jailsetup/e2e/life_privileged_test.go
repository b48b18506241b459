//go:build linux && privileged

package e2e

import (
	"strings"
	"testing"

	"emujail/jailsetup/jail"
)

// TestLife is one jail's, from the first boot to the end.
func TestLife(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	start, err := list()
	if err != nil {
		t.Fatal(err)
	}
	r.boot(v)

	t.Run("status inside names the jail", func(t *testing.T) {
		if got := r.enter(v, "tmcc", "status"); !strings.Contains(got, "NICKNAME=node-a") {
			t.Errorf("tmcc status says %q", got)
		}
	})
	t.Run("boot of a running jail says so", func(t *testing.T) {
		out := r.jailsetup("boot", v)
		if out.code != 1 || !strings.Contains(out.stderr, "runs already") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	t.Run("halt keeps the disk", func(t *testing.T) {
		r.enter(v, "sh", "-c", "echo kept >/root/kept")
		r.must("halt", v)
		if j, ok := r.info(v); !ok || j.Phase != jail.Down || j.Desired != jail.Halted || j.Alive {
			t.Errorf("list says %+v", j)
		}
		r.reports(v, "SHUTDOWN")
		if err := r.isAs(start); err != nil {
			t.Errorf("halted, left:\n%v", err)
		}
		r.must("halt", v) // halting a halted jail is what is wanted
	})
	t.Run("boot again finds the disk", func(t *testing.T) {
		r.boot(v)
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("/root/kept says %q", got)
		}
	})
	t.Run("reboot", func(t *testing.T) {
		before := r.phase(v, jail.Up)
		r.must("reboot", v)
		after := r.phase(v, jail.Up)
		if after.PID == before.PID || after.Boot != before.Boot+1 || after.IDBase != before.IDBase {
			t.Errorf("before %+v, after %+v", before.Record, after.Record)
		}
		r.reports(v, "ISUP")
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("/root/kept says %q", got)
		}
	})
	t.Run("kill leaves nothing", func(t *testing.T) {
		r.must("kill", v)
		if _, ok := r.info(v); ok {
			t.Error("it is listed still")
		}
		if err := r.isAs(start); err != nil {
			t.Errorf("left:\n%v", err)
		}
		r.reports(v, "SHUTDOWN")
	})
	t.Run("a jail killed begins anew", func(t *testing.T) {
		r.boot(v)
		if out := r.jailsetup("enter", v, "cat", "/root/kept"); out.code != 1 {
			t.Errorf("/root/kept is there: %q", out.stdout)
		}
	})
}
