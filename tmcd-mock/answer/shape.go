package answer

import (
	"fmt"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// delayNode lists the pipes of a delay node.
func (c *call) delayNode() {
	for d := range c.db.Where("delays", "exptidx", c.who.exptidx) {
		if !d.Is("node_id", c.who.id) {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "DELAY INT0=%s INT1=%s", c.macOf(d.Text("iface0")), c.macOf(d.Text("iface1")))
		for _, n := range []string{"0", "1"} {
			fmt.Fprintf(&b, " PIPE%[1]s=%[2]s DELAY%[1]s=%[3]s BW%[1]s=%[4]s PLR%[1]s=%[5]s", n,
				d.Text("pipe"+n), d.Text("delay"+n), d.Text("bandwidth"+n), d.Text("lossrate"+n))
		}
		fmt.Fprintf(&b, " LINKNAME=%s RED0=%s RED1=%s", d.Text("vname"), d.Text("q0_red"), d.Text("q1_red"))
		for _, n := range []string{"0", "1"} {
			queue(&b, d, "q"+n+"_", n)
		}
		fmt.Fprintf(&b, " VNODE0=%s VNODE1=%s NOSHAPING=%s BACKFILL0=%s BACKFILL1=%s", d.Text("vnode0"), d.Text("vnode1"),
			d.Text("noshaping"), d.Text("backfill0"), d.Text("backfill1"))
		c.linef("%s", b.String())
	}
}

// queue writes the parameters of a queue; suffix is 0, 1 or nothing.
func queue(b *strings.Builder, r testbed.Row, prefix, suffix string) {
	for _, f := range []string{"limit", "maxthresh", "minthresh", "weight", "linterm", "qinbytes", "bytes", "meanpsize",
		"wait", "setbit", "droptail", "gentle"} {
		fmt.Fprintf(b, " %s%s=%s", strings.ToUpper(f), suffix, r.Text(prefix+f))
	}
}

// macOf is the MAC address of an interface of the asker.
func (c *call) macOf(iface string) string {
	for i := range c.db.Where("interfaces", "node_id", c.who.id) {
		if i.Is("iface", iface) {
			return i.Text("mac")
		}
	}
	return ""
}

// linkDelay shapes links at the node itself.
func (c *call) linkDelay() {
	for d := range c.db.Where("linkdelays", "exptidx", c.who.exptidx) {
		if !d.Is("node_id", c.who.host) || !d.Is("vnode", c.who.nickname) {
			continue
		}
		mac := c.macOf(d.Text("iface"))
		for v := range c.vinterfaces() {
			if v.Is("IP", d.Text("ip")) {
				mac = v.Text("mac")
			}
		}
		var b strings.Builder
		fmt.Fprintf(&b, "LINKDELAY IFACE=%s TYPE=%s LINKNAME=%s VNODE=%s INET=%s MASK=%s", mac, d.Text("type"), d.Text("vlan"),
			d.Text("vnode"), d.Text("ip"), d.Text("netmask"))
		fmt.Fprintf(&b, " PIPE=%s DELAY=%s BW=%s PLR=%s", d.Text("pipe"), d.Text("delay"), d.Text("bandwidth"), d.Text("lossrate"))
		fmt.Fprintf(&b, " RPIPE=%s RDELAY=%s RBW=%s RPLR=%s", d.Text("rpipe"), d.Text("rdelay"), d.Text("rbandwidth"), d.Text("rlossrate"))
		fmt.Fprintf(&b, " RED=%s", d.Text("q_red"))
		queue(&b, d, "q_", "")
		c.linef("%s", b.String())
	}
}

// traceInfo lists the links on which the node captures packets.
func (c *call) traceInfo() {
	var list protocol.Traces
	for t := range c.db.Where("traces", "exptidx", c.who.exptidx) {
		if !t.Is("node_id", c.who.id) {
			continue
		}
		list = append(list, protocol.Trace{LinkName: t.Text("linkvname"), Index: t.Int("idx"),
			MAC0: c.traceMAC(t.Text("iface0")), MAC1: c.traceMAC(t.Text("iface1")), VNode: t.Text("vnode"),
			Type: t.Text("trace_type"), Expr: t.Text("trace_expr"), SnapLen: t.Text("trace_snaplen")})
	}
	c.reply(list)
}

// traceMAC knows virtual interfaces by their unit: veth1.
func (c *call) traceMAC(iface string) string {
	if unit, ok := strings.CutPrefix(iface, "veth"); ok {
		for v := range c.db.Where("vinterfaces", "node_id", c.who.host) {
			if v.Is("unit", unit) {
				return v.Text("mac")
			}
		}
	}
	return c.macOf(iface)
}
