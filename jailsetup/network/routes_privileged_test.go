//go:build linux && privileged

package network

import (
	"net/netip"
	"strings"
	"testing"

	"emujail/jailsetup/plan"
)

// on puts a jail on a LAN with further addresses.
func (j *testJail) on(index int, l ExperimentLink) {
	j.t.Helper()
	l.RunDir, l.Experiment, l.VNode, l.Index = j.c.RunDir, "p/one", j.vnode, index
	l.Name, l.Generation = "eth"+string(rune('0'+index)), j.gen
	if l.MAC == (MAC{}) {
		l.MAC = MAC{2, 0xaa, byte(index), j.addr.As4()[3]}
	}
	j.do(ExperimentNamespace{RunDir: j.c.RunDir, Experiment: "p/one"}, nil, &j.undo)
	j.do(l, &plan.State{NetNS: j.ns}, &j.undo)
}

func (r *rig) node(n byte) *testJail {
	r.t.Helper()
	j := r.prepare(n, 1)
	st := &plan.State{NetNS: j.ns}
	r.do(Inside{IDBase: 1_000_000, Forward: true}, st, &j.undo)
	r.do(j.controlLink("p/one"), st, &j.undo)
	return j
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Three nodes in a line: the ends reach each other through the middle.
func TestRoutes(t *testing.T) {
	r := newRig(t)
	a, b, c := r.node(1), r.node(2), r.node(3)
	a.on(1, ExperimentLink{LAN: "ab", Addrs: prefixes("10.1.1.1/24")})
	b.on(1, ExperimentLink{LAN: "ab", Addrs: prefixes("10.1.1.2/24")})
	b.on(2, ExperimentLink{LAN: "bc", Addrs: prefixes("10.1.2.2/24")})
	c.on(1, ExperimentLink{LAN: "bc", Addrs: prefixes("10.1.2.3/24")})
	r.listen(c.ns, netip.IPv4Unspecified(), 5000)
	if err := r.tcp(a.ns, addr("10.1.2.3"), 5000); err == nil {
		t.Error("without routes it goes through")
	}
	set := func(j *testJail, list ...Route) error {
		return Routes{Control: r.c, Type: "manual", List: list}.Do(r.ctx, &plan.State{NetNS: j.ns})
	}
	back := Route{Dest: netip.MustParsePrefix("10.1.1.0/24"), Via: addr("10.1.2.2"), Src: addr("10.1.2.3")}
	if err := set(c, back); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		route Route
		want  string // of the error
	}{
		{"to the net", Route{Dest: netip.MustParsePrefix("10.1.2.0/24"), Via: addr("10.1.1.2"), Src: addr("10.1.1.1")}, ""},
		{"to the host, without SRC", Route{Dest: netip.MustParsePrefix("10.1.2.3/32"), Via: addr("10.1.1.2")}, ""},
		{"everywhere", Route{Dest: everywhere(), Via: addr("10.1.1.2")}, ""},
		{"again", Route{Dest: everywhere(), Via: addr("10.1.1.2")}, ""},
		{"by nobody", Route{Dest: everywhere(), Via: addr("10.9.9.9")}, "on no LAN of this one"},
		{"from nobody's address", Route{Dest: everywhere(), Via: addr("10.1.1.2"), Src: addr("10.1.1.9")}, "no interface has that address"},
	} {
		err := set(a, row.route)
		if row.want != "" {
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		} else if err := r.tcp(a.ns, addr("10.1.2.3"), 5000); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	r.listen(a.ns, a.addr, 22)
	if err := r.tcp(nil, a.addr, 22); err != nil {
		t.Errorf("the host doesn't reach a jail with a default route of the experiment's: %v", err)
	}
}

// Two interfaces with the same prefix: SRC says by which one.
func TestRouteBySource(t *testing.T) {
	r := newRig(t)
	a, b, c := r.node(1), r.node(2), r.node(3)
	a.on(1, ExperimentLink{LAN: "one", Addrs: prefixes("10.1.1.1/24")})
	a.on(2, ExperimentLink{LAN: "two", Addrs: prefixes("10.1.1.5/24")})
	b.on(1, ExperimentLink{LAN: "one", Addrs: prefixes("10.1.1.2/24")})
	c.on(1, ExperimentLink{LAN: "two", Addrs: prefixes("10.1.1.2/24", "10.7.7.7/32")})
	r.listen(c.ns, addr("10.7.7.7"), 5000)
	to := Route{Dest: netip.MustParsePrefix("10.7.7.7/32"), Via: addr("10.1.1.2"), Src: addr("10.1.1.5")}
	if err := (Routes{Control: r.c, List: []Route{to}}).Do(r.ctx, &plan.State{NetNS: a.ns}); err != nil {
		t.Fatal(err)
	}
	if err := r.tcp(a.ns, addr("10.7.7.7"), 5000); err != nil {
		t.Errorf("by the second interface: %v", err)
	}
	wrong := Route{Dest: netip.MustParsePrefix("10.7.7.7/32"), Via: addr("10.1.1.2"), Src: addr("10.1.1.1")}
	if err := (Routes{Control: r.c, List: []Route{wrong}}).Do(r.ctx, &plan.State{NetNS: a.ns}); err != nil {
		t.Fatal(err)
	}
	if err := r.tcp(a.ns, addr("10.7.7.7"), 5000); err == nil {
		t.Error("by the first interface it arrives too")
	}
}

// A VLAN's tag names the LAN, whatever else it is called; MTU and further
// addresses are as asked for.
func TestKindsOfLANs(t *testing.T) {
	r := newRig(t)
	a, b, c := r.node(1), r.node(2), r.node(3)
	a.on(1, ExperimentLink{LAN: "here", Tag: 267, MTU: 1450, Addrs: prefixes("10.1.1.1/24", "10.1.1.11/24")})
	b.on(1, ExperimentLink{LAN: "there", Tag: 267, MTU: 1450, Addrs: prefixes("10.1.1.2/24")})
	c.on(1, ExperimentLink{LAN: "here", Tag: 268, Addrs: prefixes("10.1.1.3/24")})
	for _, j := range []*testJail{a, c} {
		r.listen(j.ns, netip.IPv4Unspecified(), 5000)
	}
	for _, row := range []struct {
		to string
		ok bool
	}{{"10.1.1.1", true}, {"10.1.1.11", true}, {"10.1.1.3", false}} {
		if err := r.tcp(b.ns, addr(row.to), 5000); (err == nil) != row.ok {
			t.Errorf("from VLAN 267 to %s: %v", row.to, err)
		}
	}
}
