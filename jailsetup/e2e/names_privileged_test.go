//go:build linux && privileged

package e2e

import (
	"net"
	"strings"
	"testing"
)

// TestLongNames: vnodes whose ids have 30 characters, the same but for the
// last (T20); their host interfaces, and kill with a boot at once (T22).
func TestLongNames(t *testing.T) {
	r := newRig(t, set{long: true, site: "grace: 100ms"})
	for _, v := range r.vnodes {
		if len(v) != 30 {
			t.Fatalf("%s has %d characters", v, len(v))
		}
		r.boot(v)
	}
	for i, v := range r.vnodes {
		if got := r.enter(v, "tmcc", "status"); !strings.Contains(got, "node-"+string("ab"[i])) {
			t.Errorf("%s: tmcc status says %q", v, got)
		}
	}
	times := 10
	if soak {
		times = 100
	}
	v := r.vnodes[0]
	for range times {
		r.must("kill", v)
		r.must("boot", v)
	}
	r.reports(v, "ISUP")
	t.Logf("soak: killed and booted at once %d times, each well", times)
}

// TestUplinkName: a jail that may set up its own network calls an interface
// like the host's uplink; its end takes the right one (T21).
func TestUplinkName(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	r.boot(v)
	out := r.jailsetup("enter", v, "sh", "-c", "ip link set eth1 down && ip link set eth1 name emuctl0")
	before, err := net.InterfaceByName("emuctl0")
	if err != nil {
		t.Fatal(err)
	}
	if out.code != 0 {
		t.Errorf("rename: exit code %d: %s", out.code, out.stderr)
	}
	r.must("kill", v)
	after, err := net.InterfaceByName("emuctl0")
	if err != nil || after.Index != before.Index {
		t.Errorf("the uplink was %d, is %v (%v)", before.Index, after, err)
	}
	r.boot(v)
}
