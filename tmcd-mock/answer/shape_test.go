package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
)

const shapeBed = `
projects: {p: {head: lea}}
users: {lea: {}}
experiments: {p/e: {creator: lea}}
hosts:
  one:
    ip: 127.0.0.1
    experiment: p/e
    name: a
    interfaces: {eth1: {mac: 0000000000e1}, eth2: {mac: 0000000000e2}}
vnodes:
  v1: {host: one, experiment: p/e, name: b}
rows:
  vinterfaces:
    - {node_id: one, unit: 4, mac: 0000000000a4, IP: 10.1.0.4, exptidx: 100}
    - {node_id: one, unit: 5, mac: 0000000000a5, IP: 10.1.0.5, exptidx: 100, vnode_id: v1}
`

// TestDelay: the interfaces of a pipe and what is at its ends.
func TestDelay(t *testing.T) {
	const pipes = ", pipe0: 1, delay0: '2.00', pipe1: 3, delay1: '4.00'"
	for _, tc := range []struct{ name, row, want string }{
		{"whatever its experiment", "exptidx: 7, iface0: eth1, iface1: eth2, vnode0: x, vnode1: y" + pipes,
			"DELAY INT0=0000000000e1 INT1=0000000000e2 PIPE0=1 DELAY0=2.00 VNODE0=x VNODE1=y"},
		{"on a virtual interface", "exptidx: 100, iface0: eth1, iface1: eth2, viface_unit0: 9, viface_unit1: 4, vnode0: x" + pipes,
			"DELAY INT0=0000000000e1 INT1=0000000000a4 PIPE0=1 DELAY0=2.00 VNODE0=x VNODE1=bar"},
		{"a bridge", "exptidx: 100, iface0: eth1, iface1: eth2, isbridge: 1, vlan0: l0, vlan1: l1, vnode0: x" + pipes,
			"DELAY INT0=0000000000e1 INT1=0000000000e2 PIPE0=1 DELAY0=2.00 VNODE0=l0 VNODE1=l1"},
		{"no such interface", "exptidx: 100, iface0: eth1, iface1: eth9" + pipes, ""},
	} {
		tb := smallBed(t, shapeBed+"  delays:\n    - {node_id: one, "+tc.row+"}\n")
		var words []string
		for _, w := range strings.Fields(string(ask(t, tb, "127.0.0.1", answer.TCP, "VERSION=40 delay ").Reply)) {
			switch key, _, _ := strings.Cut(w, "="); key {
			case "DELAY", "INT0", "INT1", "PIPE0", "DELAY0", "VNODE0", "VNODE1":
				words = append(words, w)
			}
		}
		if got := strings.Join(words, " "); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestLinkDelay: a host shapes its own virtual and physical interfaces, a vnode
// its virtual ones, whatever the row calls the node.
func TestLinkDelay(t *testing.T) {
	tb := smallBed(t, shapeBed+`  linkdelays:
    - {node_id: one, iface: eth1, ip: 10.1.0.1, netmask: '', exptidx: 100, vlan: l1, vnode: x}
    - {node_id: one, iface: eth2, ip: 10.1.0.4, netmask: 255.0.0.0, exptidx: 100, vlan: l2, vnode: x}
    - {node_id: one, iface: eth2, ip: 10.1.0.5, netmask: 255.0.0.0, exptidx: 100, vlan: l3, vnode: x}
`)
	for request, want := range map[string][]string{
		"":            {"IFACE=0000000000e1 TYPE= LINKNAME=l1 VNODE=x INET=10.1.0.1 MASK=255.255.255.0 ", "IFACE=0000000000a4 TYPE= LINKNAME=l2 VNODE=x INET=10.1.0.4 MASK=255.0.0.0 "},
		"VNODEID=v1 ": {"IFACE=0000000000a5 TYPE= LINKNAME=l3 VNODE=x INET=10.1.0.5 MASK=255.0.0.0 "},
	} {
		got := string(ask(t, tb, "127.0.0.1", answer.TCP, request+"VERSION=40 linkdelay ").Reply)
		if strings.Count(got, "\n") != len(want) {
			t.Errorf("%q: %s", request, got)
		}
		for _, w := range want {
			if !strings.Contains(got, "LINKDELAY "+w) {
				t.Errorf("%q: no %s in %s", request, w, got)
			}
		}
	}
}

// TestBridges: sorted by number; a row without interface ends the answer.
func TestBridges(t *testing.T) {
	tb := smallBed(t, shapeBed+`  bridges:
    - {node_id: one, bridx: 2, iface: eth1, vname: l2, vnode: br}
    - {node_id: one, bridx: 1, iface: eth2, vname: l0, vnode: br}
    - {node_id: one, bridx: 1, iface: eth1, vname: l1, vnode: br}
    - {node_id: one, bridx: 3, iface: eth9, vname: l3, vnode: br}
    - {node_id: one, bridx: 4, iface: eth1, vname: l4, vnode: br}
    - {node_id: other, bridx: 1, iface: eth1, vname: l4, vnode: br}
`)
	const want = "BRIDGE IDX=1 IFACE=0000000000e1 VNODE=br LINKNAME=l1\nBRIDGE IDX=1 IFACE=0000000000e2 VNODE=br LINKNAME=l0\n" +
		"BRIDGE IDX=2 IFACE=0000000000e1 VNODE=br LINKNAME=l2\n"
	if got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VERSION=40 bridges ").Reply); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
