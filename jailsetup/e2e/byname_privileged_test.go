//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"emujail/jailsetup/jail"
)

// TestByName: the name that its experiment gives a vnode is taken wherever its id
// is, also before it has ever been on this host.
func TestByName(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	up := func(boot int) {
		t.Helper()
		if j := r.phase(v, jail.Up); j.Boot != boot {
			t.Errorf("boot %d, want %d", j.Boot, boot)
		}
		r.reports(v, "ISUP")
	}
	if out := r.must("boot", "-n", "node-a"); !strings.Contains(out, "run injail as PID 1") {
		t.Errorf("boot -n says:\n%s", out)
	}
	var trace jail.Trace
	if out := r.must("boot", "--trace", "node-a"); json.Unmarshal([]byte(out), &trace) != nil || trace.VNode != v || trace.Error != "" {
		t.Errorf("boot --trace says:\n%s", out)
	}
	up(1)
	if got := r.enter("node-a", "hostname"); !strings.HasPrefix(got, "node-a.demo.jails.") {
		t.Errorf("hostname says %q", got)
	}
	if got := r.must("status", "node-a.demo.jails"); !strings.HasPrefix(got, v+" is up") {
		t.Errorf("status says %q", got)
	}
	r.must("update", "node-a")
	r.must("reconfig", "node-a")
	r.must("logs", "node-a", "console")
	r.must("cp", "node-a:/etc/hostname", r.path("hostname"))
	r.must("halt", "node-a")
	r.phase(v, jail.Down)
	r.must("boot", "node-a.demo.jails")
	up(2)
	r.must("reboot", "node-a")
	up(3)
	r.must("kill", "node-a")
	r.noJailLeft()
	r.must("kill", "node-a")
	r.must("kill", "node-a.demo.jails")
	r.must("reboot", "node-a") // of one that isn't there is a boot
	up(1)
	r.must("setup", "node-a")
	up(1)
	r.must("kill", "node-a.demo.jails")
	r.must("setup", "node-a")
	up(1)

	for _, row := range []struct {
		verb, name string
		code       int
		says       string
	}{
		{"boot", "node-z", 1, "tmcd says nothing: it knows no such vnode on this host"},
		{"boot", "node-a.other.jails", 1, "no vnode of this host has that name"},
		{"halt", "node-a.other.jails", 1, "no such jail on this host"},
		{"status", "node-b", 1, "no such jail on this host"},
		{"boot", "../node-a", 2, "want 1 to 30 letters"},
		{"boot", "node-a.demo", 2, "want 1 to 30 letters"},
	} {
		if out := r.jailsetup(row.verb, row.name); out.code != row.code || !strings.Contains(out.complaint(), row.says) {
			t.Errorf("%s %s: exit code %d, want %d and %q: %s", row.verb, row.name, out.code, row.code, row.says, out.stderr)
		}
	}
}

// otherExperiment has a vnode of the same name.
const otherExperiment = `
  @V1@0: {host: pc1, experiment: jails/other, name: node-a, sshdport: 30010, jail: {ip: @NET@.10}}
`

// TestByNameOfTwo: of a name that two experiments use both vnodes are named, with
// what tells them apart; nothing is done.
func TestByNameOfTwo(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms", base: strings.Replace(testbed, "hosts:\n", "  jails/other: {creator: alice, mounts: none}\nhosts:\n", 1), testbed: otherExperiment})
	v, other := r.vnodes[0], r.vnodes[0]+"0"
	both := func(verb string) {
		t.Helper()
		want := "node-a is the name of 2 vnodes here: node-a.demo.jails (" + v + "), node-a.other.jails (" + other + ")"
		if out := r.jailsetup(verb, "node-a"); out.code != 1 || !strings.Contains(out.complaint(), want) {
			t.Errorf("%s: exit code %d: %s", verb, out.code, out.stderr)
		}
	}
	both("boot")
	both("setup")
	r.noJailLeft()
	r.boot(v)
	both("setup") // which has a jail here, and mustn't lose it
	r.must("status", "node-a")
	r.must("boot", "node-a.other.jails")
	r.phase(other, jail.Up)
	for _, verb := range []string{"halt", "kill", "reboot", "setup", "status", "enter", "update"} {
		both(verb)
	}
	r.phase(v, jail.Up)
	r.must("kill", "node-a.demo.jails")
	r.must("halt", "node-a") // the one that is here
	r.phase(other, jail.Down)
}
