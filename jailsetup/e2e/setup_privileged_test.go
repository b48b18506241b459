//go:build linux && privileged

package e2e

import (
	"strings"
	"testing"

	"emujail/jailsetup/jail"
)

// TestSetup: setup builds a vnode anew, whatever there was; a tmcd that doesn't
// answer costs no disk, one that says FREE does (jail.md §4.1).
func TestSetup(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms", plain: true}) // plain: what tmcd refuses it says nothing of
	v := r.vnodes[0]
	r.must("setup", v)
	r.reports(v, "ISUP")
	r.enter(v, "touch", "/root/kept")
	before := r.phase(v, jail.Up)

	t.Run("a dry run says what goes and what comes", func(t *testing.T) {
		out := r.must("setup", "-n", v)
		gone, built := strings.Index(out, "undo image: delete its disk"), strings.Index(out, " 1. clone disk")
		if gone < 0 || built < gone {
			t.Errorf("says:\n%s", out)
		}
	})
	t.Run("nothing is destroyed while tmcd says nothing", func(t *testing.T) {
		for _, f := range []string{"down", "refuse command=status"} {
			r.fault(f)
			if out := r.jailsetup("setup", v); out.code != 1 || !strings.Contains(out.complaint(), "nothing was changed") {
				t.Errorf("%s: exit code %d: %s", f, out.code, out.stderr)
			}
			if out := r.run("tmcd-mock", "fault", "clear", "--manage", r.path("mock")); out.code != 0 {
				t.Fatal(out.err())
			}
		}
		if now := r.phase(v, jail.Up); now.PID != before.PID {
			t.Errorf("was %+v, is %+v", before.Record, now.Record)
		}
		r.enter(v, "test", "-e", "/root/kept")
	})
	t.Run("of a jail that runs", func(t *testing.T) {
		r.must("setup", v)
		if now := r.phase(v, jail.Up); now.Boot != 1 || now.PID == before.PID {
			t.Errorf("was %+v, is %+v", before.Record, now.Record)
		}
		r.reports(v, "ISUP")
		if out := r.jailsetup("enter", v, "test", "-e", "/root/kept"); out.code != 1 {
			t.Error("the disk is the old one")
		}
	})
	t.Run("of one that is free now", func(t *testing.T) {
		r.edit("testbed.yaml", "experiment: jails/demo, name: node-a, ", "")
		r.edit("testbed.yaml", "node-a: 10.1.1.2, ", "")
		if out := r.run("tmcd-mock", "reload", "--manage", r.path("mock")); out.code != 0 {
			t.Fatal(out.err())
		}
		if out := r.jailsetup("setup", v); out.code != 4 || !strings.Contains(out.complaint(), "not allocated") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.noJailLeft()
	})
}

// TestReconfig: reconfig has a jail that is up configure itself anew, which is more
// than an update does, and leaves its init as it is.
func TestReconfig(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	r.boot(v)
	before := r.phase(v, jail.Up)
	r.must("update", v)
	if n := r.questions(v, "topomap"); n != 0 { // which is asked for by who is configured anew
		t.Errorf("an update asks %d times for the topology", n)
	}
	asked := r.questions(v, "fullconfig")
	r.must("reconfig", v)
	if r.questions(v, "topomap") == 0 {
		t.Error("tmcd was not asked for the topology")
	}
	if now := r.phase(v, jail.Up); now.PID != before.PID {
		t.Errorf("was %+v, is %+v", before.Record, now.Record)
	}
	if n := r.questions(v, "fullconfig"); n != asked+1 {
		t.Errorf("tmcd was asked %d times more, want once", n-asked)
	}
	r.reports(v, "ISUP")
	r.must("halt", v)
	if out := r.jailsetup("reconfig", v); out.code != 1 || !strings.Contains(out.complaint(), "cannot reconfigure "+v+": ") || !strings.Contains(out.stderr, "jailsetup boot") {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
}

// questions counts how often a vnode was asked about by a command.
func (r *rig) questions(vnode, command string) (n int) {
	r.t.Helper()
	out := r.run("tmcd-mock", "log", "--node", vnode, "--manage", r.path("mock"))
	if out.code != 0 {
		r.t.Fatal(out.err())
	}
	return strings.Count(out.stdout, " "+command+": ")
}
