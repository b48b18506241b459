package answer

import (
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

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
		rows = filter(c.db.Where("vinterfaces", "vnode_id", c.who.id), func(v testbed.Row) bool {
			return v.Value("unit") != nil && v.Int("unit") == unit
		})
	}
	return texts(orNone(rows), "mac")
}

// tracedMACs are those of the traced node on the link, one a port; a vnode
// isn't told them, but gets the lines all the same.
func (c *call) tracedMACs(t testbed.Row) []string {
	var macs []string
	none := slices.Values([]testbed.Row(nil))
	node, ports := first(c.ofExperiment("reserved", "vname", t.Text("vnode"))), none
	if !node.IsZero() {
		ports = c.ofExperiment("virt_lans", "vname", t.Text("linkvname"), "vnode", t.Text("vnode"))
	}
	for _, v := range orNone(ports) {
		rows := none
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
