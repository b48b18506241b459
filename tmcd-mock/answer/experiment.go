package answer

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// ofExperiment are the rows of a table that are the asker's experiment's: their
// pid and eid say so, or in rows without them their exptidx.
func (c *call) ofExperiment(table string) iter.Seq[testbed.Row] {
	return func(yield func(testbed.Row) bool) {
		for r := range c.where(table, "eid", c.who.eid, "pid", c.who.pid) {
			if !yield(r) {
				return
			}
		}
		if !c.who.allocated() {
			return
		}
		for r := range c.db.Where(table, "exptidx", c.who.exptidx) {
			if !r.Has("eid") && !r.Has("pid") && !yield(r) {
				return
			}
		}
	}
}

// where are the rows for which all the column, value pairs hold.
func (c *call) where(table, column, value string, more ...string) iter.Seq[testbed.Row] {
	return func(yield func(testbed.Row) bool) {
		for r := range c.db.Where(table, column, value) {
			if holds(r, more) && !yield(r) {
				return
			}
		}
	}
}

func holds(r testbed.Row, pairs []string) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !r.Is(pairs[i], pairs[i+1]) {
			return false
		}
	}
	return true
}

// orNone are the rows, or one without columns if there are none: what a left
// join goes on with.
func orNone(rows iter.Seq[testbed.Row]) []testbed.Row {
	if all := slices.Collect(rows); len(all) > 0 {
		return all
	}
	return []testbed.Row{{}}
}

// first is the first of the rows, or the zero Row.
func first(rows iter.Seq[testbed.Row]) testbed.Row {
	for r := range rows {
		return r
	}
	return testbed.Row{}
}

// sorted are the rows by a column that holds numbers.
func sorted(rows iter.Seq[testbed.Row], column string) []testbed.Row {
	return slices.SortedStableFunc(rows, func(a, b testbed.Row) int { return cmp.Compare(a.Int(column), b.Int(column)) })
}

func (c *call) userEnv() {
	for _, r := range sorted(c.ofExperiment("virt_user_environment"), "idx") {
		c.linef("%s=%s", r.Text("name"), r.Text("value"))
	}
}

// tipTunnels are consoles that this node may reach.
func (c *call) tipTunnels() {
	for t := range c.ofExperiment("virt_tiptunnels") {
		if !t.Is("host", c.who.nickname) {
			continue
		}
		name := t.Text("vnode")
		for r := range c.ofExperiment("reserved") {
			if !r.Is("vname", name) {
				continue
			}
			for l := range c.db.Where("tiplines", "node_id", r.Text("node_id")) {
				if l.Value("server") != nil {
					c.linef("VNODE=%s SERVER=%s PORT=%s KEYLEN=%s KEY=%s", name, l.Text("server"), l.Text("portnum"),
						l.Text("keylen"), l.Text("keydata"))
				}
			}
		}
	}
}

// moteLog names the files that say how to read a mote's log.
func (c *call) moteLog() {
	for v := range c.ofExperiment("virt_node_motelog") {
		if !v.Is("vname", c.who.nickname) {
			continue
		}
		for _, f := range orNone(c.where("motelogfiles", "logfileid", v.Text("logfileid"), "pid", v.Text("pid"))) {
			c.linef("MOTELOGID=%s CLASSFILE=%s SPECFILE=%s", v.Text("logfileid"), f.Text("classfilepath"), f.Text("specfilepath"))
		}
	}
}

// pnetNodeAttrs are what PhantomNet wants to know of the experiment's nodes.
func (c *call) pnetNodeAttrs() {
	for r := range c.ofExperiment("reserved") {
		for a := range c.db.Where("node_attributes", "node_id", r.Text("node_id")) {
			if (a.Is("attrkey", "sim_imsi") || a.Is("attrkey", "sim_sequence_number")) && a.Has("attrvalue") {
				c.linef("NODE_ID=%s KEY=%s VALUE=%s", a.Text("node_id"), a.Text("attrkey"), a.Text("attrvalue"))
			}
		}
	}
}

// plabEventKeys gives the service slice of a PlanetLab node the keys of the
// experiments on it.
func (c *call) plabEventKeys() {
	slice := first(c.ofExperiment("plab_slices"))
	if !c.who.vnode || !slice.Bool("admin") {
		c.refuse("%s is no service slice of PlanetLab", c.who.id)
		return
	}
	for node := range c.db.Where("nodes", "phys_nodeid", c.who.host) {
		r := c.db.First("reserved", "node_id", node.Text("node_id"))
		if r.IsZero() {
			continue
		}
		e := first(c.where("experiments", "pid", r.Text("pid"), "eid", r.Text("eid")))
		c.linef("PID=%s EID=%s KEY=%s", e.Text("pid"), e.Text("eid"), e.Text("eventkey"))
	}
}

// traceInfo lists the links on which the node captures packets.
func (c *call) traceInfo() {
	for t := range c.db.Where("traces", "node_id", c.who.id) {
		for _, mac0 := range c.traceMACs(t, "iface0") {
			for _, mac1 := range c.traceMACs(t, "iface1") {
				for _, mac := range c.tracedMACs(t) {
					c.linef("TRACE LINKNAME=%s IDX=%d MAC0=%s MAC1=%s VNODE=%s VNODE_MAC=%s TRACE_TYPE=%s TRACE_EXPR='%s' TRACE_SNAPLEN=%s",
						t.Text("linkvname"), c.traceIndex(t), mac0, mac1, t.Text("vnode"), mac, t.Text("trace_type"), t.Text("trace_expr"),
						t.Text("trace_snaplen"))
				}
			}
		}
	}
}

// traceIndex keeps the vnodes of one PlanetLab node apart.
func (c *call) traceIndex(t testbed.Row) int {
	idx := t.Int("idx")
	if c.who.vnode && c.who.own.Bool("isplabdslice") && strings.HasPrefix(c.who.called, "plabvm") {
		_, n, _ := strings.Cut(c.who.id, "-")
		idx += 10 * testbed.Atoi(n)
	}
	return idx
}

// traceMACs are the MAC addresses of one end; a vnode's interfaces are known
// by their unit, which follows four letters: veth1.
func (c *call) traceMACs(t testbed.Row, column string) []string {
	iface := t.Text(column)
	rows := c.where("interfaces", "node_id", c.who.id, "iface", iface)
	if c.who.vnode {
		unit := 0
		if len(iface) > 4 {
			unit = testbed.Atoi(iface[4:])
		}
		rows = func(yield func(testbed.Row) bool) {
			for v := range c.db.Where("vinterfaces", "vnode_id", c.who.id) {
				if v.Value("unit") != nil && v.Int("unit") == unit && !yield(v) {
					return
				}
			}
		}
	}
	return texts(orNone(rows), "mac")
}

// tracedMACs are those of the traced node on the link, one a port; a vnode
// isn't told them, but gets the lines all the same.
func (c *call) tracedMACs(t testbed.Row) []string {
	var macs []string
	node := first(func(yield func(testbed.Row) bool) {
		for r := range c.ofExperiment("reserved") {
			if r.Is("vname", t.Text("vnode")) && !yield(r) {
				return
			}
		}
	})
	ports := func(yield func(testbed.Row) bool) {
		if node.IsZero() {
			return
		}
		for v := range c.ofExperiment("virt_lans") {
			if v.Is("vname", t.Text("linkvname")) && v.Is("vnode", t.Text("vnode")) && !yield(v) {
				return
			}
		}
	}
	for _, v := range orNone(ports) {
		rows := slices.Values([]testbed.Row(nil))
		if !v.IsZero() {
			rows = c.where("interfaces", "node_id", node.Text("node_id"), "IP", v.Text("ip"))
		}
		macs = append(macs, texts(orNone(rows), "mac")...)
	}
	if c.who.vnode {
		clear(macs)
	}
	return macs
}

func texts(rows []testbed.Row, column string) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Text(column))
	}
	return all
}
