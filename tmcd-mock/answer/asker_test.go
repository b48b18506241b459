package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// TestRedirectAddress: an address is read as C reads it, and what is none
// leaves the sender who it is.
func TestRedirectAddress(t *testing.T) {
	tb := pairBed(t, row{"interfaces", testbed.Columns{"node_id": "pc9", "IP": "127.0.0.1", "role": "ctrl"}},
		row{"nodes", testbed.Columns{"node_id": "pc9", "type": "pc", "phys_nodeid": "pc9", "uuid": ""}})
	for redirect, want := range map[string]string{"10.0.0.1": "pc1\n", "10.1": "pc1\n", "0xa.0.01": "pc1\n", "012.0.0.1": "pc1\n",
		"167772161": "pc1\n", "nonsense": "pc9\n", "10.0.0.256": "pc9\n", "10.0.0.1.2": "pc9\n", "0b1.1": "pc9\n", "1_0.0.0.1": "pc9\n",
		"10.0.0.2": ""} {
		saysTo(t, tb, "127.0.0.1", "REDIRECT="+redirect+" VERSION=40 nodeid ", want)
	}
	saysTo(t, tb, "127.0.0.1", "VERSION=40 nodeuuid ", "\n")
}

// TestKeysOfVNodes: an external key is the vnode's own, and goes before its
// host's private key.
func TestKeysOfVNodes(t *testing.T) {
	const private, external = "PRIVKEY=0123456789abcdef ", "IDKEY=ext "
	bed := func(owner string) *testbed.Testbed {
		tb := pairBed(t, row{"widearea_nodeinfo", testbed.Columns{"node_id": "pc1", "privkey": "0123456789ABCDEF"}})
		return alter(tb, "reserved", "node_id", owner, testbed.Columns{"external_resource_key": "ext"})
	}
	for _, tc := range []struct{ owner, request, want string }{
		{"pcvm1-1", external + "VNODEID=pcvm1-1 nodeid ", "pcvm1-1\n"},
		{"pc1", external + "VNODEID=pcvm1-1 nodeid ", ""},
		{"pc1", private + external + "VNODEID=pcvm1-1 nodeid ", ""},
		{"pc1", private + "VNODEID=pcvm1-1 nodeid ", "pcvm1-1\n"},
		{"pcvm1-1", private + external + "nodeid ", "pc1\n"},
		{"pc1", external + "nodeid ", "pc1\n"},
		{"pcvm1-1", external + "nodeid ", ""}, // it has no interface
	} {
		saysTo(t, bed(tc.owner), "10.9.9.9", tc.request, tc.want)
	}
}

// TestNoTMCDInfo hides nodes, but not vnodes that are named.
func TestNoTMCDInfo(t *testing.T) {
	hide := func(kind, value string) *testbed.Testbed {
		return pairBed(t, row{"node_type_attributes", testbed.Columns{"type": kind, "attrkey": "notmcdinfo", "attrvalue": value}})
	}
	says(t, hide("pc", "1"), "nodeid ", "")
	says(t, hide("pc", "2"), "nodeid ", "pc1\n")
	says(t, hide("pc", "1"), "VNODEID=pcvm1-1 nodeid ", "pcvm1-1\n")
	says(t, hide("pcvm", "1"), "VNODEID=pcvm1-1 nodeid ", "pcvm1-1\n")
	second := hide("other", "1")
	alter(second, "nodes", "node_id", "pc1", testbed.Columns{"type": "other"})
	second.Apply([]testbed.Change{
		{Table: "nodes", Op: testbed.Upsert, Where: map[string]string{"node_id": "pc2"}, Set: testbed.Columns{"type": "pc", "phys_nodeid": "pc2"}},
		{Table: "interfaces", Op: testbed.Upsert, Where: map[string]string{"node_id": "pc2"}, Set: testbed.Columns{"IP": "10.0.0.1", "role": "ctrl"}}})
	says(t, second, "nodeid ", "pc2\n")
}

// TestExperimentByName: a reservation names its experiment by project and
// name; one that names none that exists is an error.
func TestExperimentByName(t *testing.T) {
	says(t, alter(pairBed(t), "reserved", "node_id", "pc1", testbed.Columns{"exptidx": int64(77)}), "status ", "ALLOCATED=p/e NICKNAME=host\n")
	says(t, alter(pairBed(t), "reserved", "node_id", "pc1", testbed.Columns{"eid": "gone"}), "status ", "")
}

// TestNickname: without a name in the experiment a node is called by its id, a
// vnode by its host's; an empty name is one.
func TestNickname(t *testing.T) {
	nameless := alter(pairBed(t), "reserved", "exptidx", "5", testbed.Columns{"vname": nil})
	says(t, nameless, "status ", "ALLOCATED=p/e NICKNAME=pc1\n")
	says(t, nameless, "VNODEID=pcvm1-1 status ", "ALLOCATED=p/e NICKNAME=pc1\n")
	says(t, alter(pairBed(t), "reserved", "node_id", "pc1", testbed.Columns{"vname": ""}), "status ", "ALLOCATED=p/e NICKNAME=\n")
}

// TestSwapper: an experiment that nobody swapped in is its creator's.
func TestSwapper(t *testing.T) {
	says(t, alter(pairBed(t), "experiments", "idx", "5", testbed.Columns{"expt_swap_uid": nil}), "VERSION=40 creator ", "CREATOR=ann SWAPPER=ann\n")
}

// TestControlHost: a vnode of a control node needs TLS like the node itself.
func TestControlHost(t *testing.T) {
	tb := alter(pairBed(t), "nodes", "node_id", "pc1", testbed.Columns{"role": "ctrlnode"})
	says(t, tb, "VNODEID=pcvm1-1 nodeid ", "")
	if got := string(ask(t, tb, "10.0.0.1", answer.TLS, "VNODEID=pcvm1-1 nodeid ").Reply); got != "pcvm1-1\n" {
		t.Errorf("over TLS %q", got)
	}
}

// TestTypeWithoutClass: such a node is nobody.
func TestTypeWithoutClass(t *testing.T) {
	says(t, alter(pairBed(t), "node_types", "type", "pc", testbed.Columns{"class": nil}), "nodeid ", "")
}

// TestNUL: what follows a NUL isn't there, neither in a word nor in arguments.
func TestNUL(t *testing.T) {
	tb := pairBed(t)
	says(t, tb, "VERSION=40 nodeid\x00x", "pc1\n")
	res := ask(t, tb, "10.0.0.1", answer.TCP, "VERSION=40 bootlog one\x00two ")
	if len(res.Reports) != 1 || res.Reports[0].Text != "one" {
		t.Errorf("reports %q", res.Reports)
	}
	tb.Read(func(db *testbed.DB) {
		if got := db.First("node_bootlogs", "node_id", "pc1").Text("bootlog"); got != "one" {
			t.Errorf("bootlog %q", got)
		}
	})
}
