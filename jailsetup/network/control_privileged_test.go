//go:build linux && privileged

package network

import (
	"testing"

	"github.com/google/nftables"
)

const tmcd = 7777

func TestControlNetwork(t *testing.T) {
	r := newRig(t)
	a, b, other := r.jail(1, "p/one"), r.jail(2, "p/one"), r.jail(3, "p/two")
	r.listen(nil, r.c.Host, tmcd)
	for _, j := range []*testJail{a, b, other} {
		r.listen(j.ns, j.addr, 22)
	}

	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	mustNot := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: went through", what)
		}
	}
	must("host reaches the jail", r.tcp(nil, a.addr, 22))
	must("host reaches the jail by UDP", r.udp(nil, a.addr, 22))
	must("host reaches its own tmcd", r.tcp(nil, r.c.Host, tmcd))
	must("jail reaches its sibling", r.tcp(a.ns, b.addr, 22))
	must("jail reaches its sibling by UDP", r.udp(a.ns, b.addr, 22))
	mustNot("jail reaches another experiment", r.tcp(a.ns, other.addr, 22))
	mustNot("jail reaches another experiment by UDP", r.udp(other.ns, a.addr, 22))
	mustNot("jail reaches tmcd", r.tcp(a.ns, r.c.Host, tmcd))
	mustNot("jail reaches tmcd by UDP", r.udp(a.ns, r.c.Host, tmcd))

	if err := AddHostPort(r.ctx, r.c, Port{TCP, tmcd}); err != nil {
		t.Fatal(err)
	}
	must("jail reaches tmcd with its port listed", r.tcp(a.ns, r.c.Host, tmcd))
	mustNot("jail reaches tmcd by UDP with only TCP listed", r.udp(a.ns, r.c.Host, tmcd))
	if err := RemoveHostPort(r.ctx, r.c, Port{TCP, tmcd}); err != nil {
		t.Fatal(err)
	}
	mustNot("jail reaches tmcd again", r.tcp(a.ns, r.c.Host, tmcd))

	// Each of these is the wall's doing: without it they go through.
	control, err := openPin(r.c.RunDir, controlPin)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	takeWallsAway(t, control, nftables.TableFamilyINet)
	must("without a wall, jail reaches tmcd", r.tcp(a.ns, r.c.Host, tmcd))
	must("without a wall, jail reaches tmcd by UDP", r.udp(a.ns, r.c.Host, tmcd))
	must("without a wall, jail reaches another experiment", r.tcp(a.ns, other.addr, 22))
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	mustNot("with the wall again, jail reaches tmcd", r.tcp(a.ns, r.c.Host, tmcd))
}
