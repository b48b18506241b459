package answer

import (
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// asker is the node that a request is for, with the rows that its answers need
// (docs/spec/protocol.md §3).
type asker struct {
	node, phys testbed.Row // nodes; the same row for a physical node
	kind       testbed.Row // node_types of the physical node
	own        testbed.Row // node_types of the node itself
	reserved   testbed.Row
	expt       testbed.Row
	id, host   string
	called     string // the id as the request wrote it
	vnode      bool   // the request names a node (VNODEID, PROXYFOR)
	asVNode    bool   // it comes from inside, through a proxy
	local      bool   // not on a remote host
	pid, eid   string
	gid        string // the experiment's group
	exptidx    string
	nickname   string // reserved.vname, or if that is NULL the host's id; of a free node none
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
		if other, ok := dotted(r.Redirect); ok { // else the sender stays the one who asks
			addr = other.String()
		}
	}
	node, why := find(db, addr, r)
	if why != "" {
		return who, why
	}
	if kind := db.First("node_types", "type", node.Text("type")); kind.Value("class") == nil {
		return who, fmt.Sprintf("node %s has an unknown type %q", node.Text("node_id"), node.Text("type"))
	}
	who = load(db, node, r)
	if who.allocated() && who.expt.IsZero() {
		return who, fmt.Sprintf("node %s is in experiment %s/%s, which doesn't exist", who.id, who.pid, who.eid)
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
		return firstAllowed(db, db.Where("widearea_nodeinfo", "privkey", r.PrivKey), "no node has this PRIVKEY")
	case r.IDKey != "":
		return firstAllowed(db, withInterface(db, db.Where("reserved", "external_resource_key", r.IDKey)), "no node has this IDKEY")
	}
	return firstAllowed(db, controlInterfaces(db, addr), fmt.Sprintf("no node has the control address %s", addr))
}

// firstAllowed is the node of the first of these rows that may ask for itself:
// nodes of a type with the attribute notmcdinfo may not.
func firstAllowed(db *testbed.DB, rows iter.Seq[testbed.Row], why string) (testbed.Row, string) {
	for r := range rows {
		node := db.First("nodes", "node_id", r.Text("node_id"))
		silent, _ := typeAttr(db, node.Text("type"), "notmcdinfo")
		switch {
		case node.IsZero():
		case silent == "1":
			why = "nodes of this type get nothing (notmcdinfo)"
		default:
			return node, ""
		}
	}
	return testbed.Row{}, why
}

// withInterface leaves out rows of nodes that have no interface at all.
func withInterface(db *testbed.DB, rows iter.Seq[testbed.Row]) iter.Seq[testbed.Row] {
	return filter(rows, func(r testbed.Row) bool { return !db.First("interfaces", "node_id", r.Text("node_id")).IsZero() })
}

// controlInterfaces are those with this control address.
func controlInterfaces(db *testbed.DB, addr string) iter.Seq[testbed.Row] {
	return where(db, "interfaces", "IP", addr, "role", "ctrl")
}

// nodeByAddr is the node with this control address.
func nodeByAddr(db *testbed.DB, addr string) testbed.Row {
	for i := range controlInterfaces(db, addr) {
		return db.First("nodes", "node_id", i.Text("node_id"))
	}
	return testbed.Row{}
}

// carries reports whether whoever has this address, or shows this key, may
// speak for the node. A key of the vnode's own is looked at before its host's,
// and with a key the address says nothing.
func carries(db *testbed.DB, node testbed.Row, addr string, r *protocol.Request) bool {
	host := node.Text("phys_nodeid")
	if db.First("nodes", "node_id", host).IsZero() {
		return false
	}
	if r.IDKey != "" {
		return db.First("reserved", "node_id", node.Text("node_id")).Is("external_resource_key", r.IDKey)
	}
	if r.PrivKey != "" {
		return !first(where(db, "widearea_nodeinfo", "node_id", host, "privkey", r.PrivKey)).IsZero()
	}
	return node.Is("jailip", addr) || !first(where(db, "interfaces", "node_id", host, "role", "ctrl", "IP", addr)).IsZero()
}

// load collects the rows that go with a node. One that the request doesn't name
// is its own host, though it be a vnode with an address of its own.
func load(db *testbed.DB, node testbed.Row, r *protocol.Request) asker {
	a := asker{node: node, phys: node, id: node.Text("node_id"), vnode: r.NodeID() != "", asVNode: r.AsVNode()}
	a.host, a.called = a.id, a.id
	if a.vnode {
		a.host, a.called = node.Text("phys_nodeid"), r.NodeID()
		a.phys = db.First("nodes", "node_id", a.host)
	}
	a.kind = db.First("node_types", "type", a.phys.Text("type"))
	a.own = db.First("node_types", "type", node.Text("type"))
	a.local = !a.kind.Bool("isremotenode")
	a.jailed = node.Bool("jailflag")
	a.taint = node.Text("taint_states")
	a.reserved = db.First("reserved", "node_id", a.id)
	if a.allocated() {
		a.join(db)
	}
	return a
}

// join adds what the node has by its experiment.
func (a *asker) join(db *testbed.DB) {
	a.pid, a.eid = a.reserved.Text("pid"), a.reserved.Text("eid")
	a.expt = experiment(db, a.reserved)
	a.exptidx = a.expt.Text("idx")
	a.gid = a.expt.Text("gid")
	if a.expt.Value("gid") == nil {
		a.gid = a.pid
	}
	a.sharing = a.reserved.Text("sharing_mode")
	a.geni = a.reserved.Bool("genisliver_idx")
	a.creator, a.swapper = a.expt.Text("expt_head_uid"), a.expt.Text("expt_swap_uid")
	if a.expt.Value("expt_swap_uid") == nil {
		a.swapper = a.creator
	}
	a.nickname = a.host
	if a.reserved.Value("vname") != nil {
		a.nickname = a.reserved.Text("vname")
	}
	a.mounts = a.expt.Text("nfsmounts")
	if own := a.node.Text("nfsmounts"); own != "" && a.mounts != "none" {
		a.mounts = own
	}
}

// experiment is the one that a reservation names, by project and name: its
// number there decides nothing.
func experiment(db *testbed.DB, reserved testbed.Row) testbed.Row {
	return first(where(db, "experiments", "eid", reserved.Text("eid"), "pid", reserved.Text("pid")))
}

// dotted reads an address as C's inet_aton does: one to four numbers, decimal,
// octal or hexadecimal, the last of which fills all bytes that are left.
func dotted(s string) (netip.Addr, bool) {
	parts := strings.Split(s[:min(len(s), maxRedirect)], ".")
	last := len(parts) - 1
	if last > 3 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		bits := 8
		if i == last {
			bits = 8 * (4 - last)
		}
		n, err := strconv.ParseUint(part, 0, bits)
		if err != nil || strings.ContainsAny(part, "_bBoO") { // Go's own ways to write numbers
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// maxRedirect is how much of REDIRECT= tmcd reads.
const maxRedirect = 30
