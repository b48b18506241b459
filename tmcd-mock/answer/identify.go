package answer

import (
	"fmt"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// asker is the node that a request is for, with the rows that its answers need
// (docs/spec/protocol.md §3).
type asker struct {
	node, phys testbed.Row // nodes; the same row for a physical node
	kind       testbed.Row // node_types of the physical node
	reserved   testbed.Row
	expt       testbed.Row
	id, host   string
	vnode      bool // the request names a node (VNODEID, PROXYFOR)
	asVNode    bool // it comes from inside, through a proxy
	local      bool // not on a remote host
	pid, eid   string
	gid        string // the experiment's group
	exptidx    string
	nickname   string
	sharing    string // reserved.sharing_mode
	taint      string
	mounts     string // effective nfsmounts
	creator    string
	swapper    string
	jailed     bool // jailflag
	geni       bool // a sliver of a GENI slice
}

func (a *asker) allocated() bool { return !a.reserved.IsZero() }

// sharedHost: the node carries vnodes of several experiments.
func (a *asker) sharedHost() bool { return a.sharing != "" && !a.vnode }

func (a *asker) tainted(words ...string) bool {
	for _, w := range words {
		if strings.Contains(a.taint, w) {
			return true
		}
	}
	return false
}

// identify finds out for whom a request is; why is the reason when it can't.
func identify(db *testbed.DB, q Query) (who asker, why string) {
	addr := q.Source.Unmap().String()
	r := &q.Request
	if r.Redirect != "" {
		if addr != db.Site.BossIP && addr != "127.0.0.1" {
			return who, "REDIRECT= from an address that is not boss's own"
		}
		addr = r.Redirect
	}
	node, why := find(db, addr, r)
	if why != "" {
		return who, why
	}
	if db.First("node_types", "type", node.Text("type")).IsZero() {
		return who, fmt.Sprintf("node %s has an unknown type %q", node.Text("node_id"), node.Text("type"))
	}
	who = load(db, node)
	who.vnode, who.asVNode = r.NodeID() != "", r.AsVNode()
	if hidden := db.Where("node_type_attributes", "type", who.kind.Text("type")); hidden != nil {
		for a := range hidden {
			if a.Is("attrkey", "notmcdinfo") && a.Bool("attrvalue") {
				return who, "nodes of this type get nothing (notmcdinfo)"
			}
		}
	}
	return who, ""
}

// find is the row of the node that a request is for.
func find(db *testbed.DB, addr string, r *protocol.Request) (testbed.Row, string) {
	if name := r.NodeID(); name != "" {
		node := db.First("nodes", "node_id", name)
		if node.IsZero() {
			return node, fmt.Sprintf("no such vnode %q", name)
		}
		if !carries(db, node, addr, r) {
			return node, fmt.Sprintf("vnode %s is not of the host at %s", name, addr)
		}
		return node, ""
	}
	switch {
	case r.PrivKey != "":
		key := db.First("widearea_nodeinfo", "privkey", r.PrivKey)
		if node := db.First("nodes", "node_id", key.Text("node_id")); !node.IsZero() {
			return node, ""
		}
		return testbed.Row{}, "no node has this PRIVKEY"
	case r.IDKey != "":
		res := db.First("reserved", "external_resource_key", r.IDKey)
		if node := db.First("nodes", "node_id", res.Text("node_id")); !node.IsZero() {
			return node, ""
		}
		return testbed.Row{}, "no node has this IDKEY"
	}
	if node := nodeByAddr(db, addr); !node.IsZero() {
		return node, ""
	}
	return testbed.Row{}, fmt.Sprintf("no node has the control address %s", addr)
}

// nodeByAddr is the node with this control address.
func nodeByAddr(db *testbed.DB, addr string) testbed.Row {
	for i := range db.Where("interfaces", "IP", addr) {
		if i.Is("role", "ctrl") {
			return db.First("nodes", "node_id", i.Text("node_id"))
		}
	}
	return testbed.Row{}
}

// carries reports whether whoever has this address, or shows this key, may
// speak for the node.
func carries(db *testbed.DB, node testbed.Row, addr string, r *protocol.Request) bool {
	host := node.Text("phys_nodeid")
	if r.PrivKey != "" {
		for key := range db.Where("widearea_nodeinfo", "node_id", host) {
			if key.Is("privkey", r.PrivKey) {
				return true
			}
		}
		return false
	}
	if r.IDKey != "" {
		for _, id := range []string{node.Text("node_id"), host} {
			if db.First("reserved", "node_id", id).Is("external_resource_key", r.IDKey) {
				return true
			}
		}
		return false
	}
	if node.Is("jailip", addr) {
		return true
	}
	for i := range db.Where("interfaces", "node_id", host) {
		if i.Is("role", "ctrl") && i.Is("IP", addr) {
			return true
		}
	}
	return false
}

// load collects the rows that go with a node.
func load(db *testbed.DB, node testbed.Row) asker {
	a := asker{node: node, id: node.Text("node_id"), host: node.Text("phys_nodeid")}
	a.phys = db.First("nodes", "node_id", a.host)
	if a.phys.IsZero() {
		a.phys = node
	}
	a.kind = db.First("node_types", "type", a.phys.Text("type"))
	a.local = !a.kind.Bool("isremotenode")
	a.jailed = node.Bool("jailflag")
	a.taint = node.Text("taint_states")
	a.nickname = a.id
	a.reserved = db.First("reserved", "node_id", a.id)
	if !a.allocated() {
		return a
	}
	a.pid, a.eid, a.exptidx = a.reserved.Text("pid"), a.reserved.Text("eid"), a.reserved.Text("exptidx")
	a.expt = db.First("experiments", "idx", a.exptidx)
	a.gid = a.expt.Text("gid")
	a.sharing = a.reserved.Text("sharing_mode")
	a.geni = a.reserved.Bool("genisliver_idx")
	a.creator, a.swapper = a.expt.Text("expt_head_uid"), a.expt.Text("expt_swap_uid")
	if name := a.reserved.Text("vname"); name != "" {
		a.nickname = name
	}
	a.mounts = a.expt.Text("nfsmounts")
	if own := node.Text("nfsmounts"); own != "" && a.mounts != "none" {
		a.mounts = own
	}
	return a
}
