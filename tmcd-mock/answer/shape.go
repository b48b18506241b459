package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// delayNode lists the pipes of a delay node. A row without interfaces ends it.
func (c *call) delayNode() {
	for d := range c.db.Where("delays", "node_id", c.who.id) {
		int0, ok0 := c.delayMAC(d, "0")
		int1, ok1 := c.delayMAC(d, "1")
		if !ok0 || !ok1 || d.Value("pipe0") == nil || d.Value("delay0") == nil {
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "DELAY INT0=%s INT1=%s", int0, int1)
		for _, n := range []string{"0", "1"} {
			fmt.Fprintf(&b, " PIPE%[1]s=%[2]s DELAY%[1]s=%[3]s BW%[1]s=%[4]s PLR%[1]s=%[5]s", n,
				d.Text("pipe"+n), d.Text("delay"+n), d.Text("bandwidth"+n), d.Text("lossrate"+n))
		}
		fmt.Fprintf(&b, " LINKNAME=%s RED0=%s RED1=%s", d.Text("vname"), d.Text("q0_red"), d.Text("q1_red"))
		for _, n := range []string{"0", "1"} {
			queue(&b, d, "q"+n+"_", n)
		}
		fmt.Fprintf(&b, " VNODE0=%s VNODE1=%s NOSHAPING=%s BACKFILL0=%s BACKFILL1=%s", delayEnd(d, "0", "foo"), delayEnd(d, "1", "bar"),
			d.Text("noshaping"), d.Text("backfill0"), d.Text("backfill1"))
		c.linef("%s", b.String())
	}
}

// delayMAC is the address of one side: of the virtual interface if it is one
// on the physical interface, which must be there.
func (c *call) delayMAC(d testbed.Row, n string) (string, bool) {
	i := c.interfaceOf(c.who.id, d.Text("iface"+n))
	if i.IsZero() {
		return "", false
	}
	if d.Value("viface_unit"+n) != nil {
		v := first(c.where("vinterfaces", "node_id", d.Text("node_id"), "unit", d.Text("viface_unit"+n), "exptidx", d.Text("exptidx")))
		if !v.IsZero() {
			i = v
		}
	}
	return i.Text("mac"), true
}

// delayEnd names what is on one side: a node, or for a bridge a LAN.
func delayEnd(d testbed.Row, n, none string) string {
	if d.Bool("isbridge") {
		return d.Text("vlan" + n)
	}
	if d.Value("vnode"+n) == nil {
		return none
	}
	return d.Text("vnode" + n)
}

// bridges lists what a bridge node joins. A row without interface ends it.
func (c *call) bridges() {
	rows := slices.SortedStableFunc(c.db.Where("bridges", "node_id", c.who.id), func(a, b testbed.Row) int {
		return cmp.Or(cmp.Compare(a.Int("bridx"), b.Int("bridx")), collate(a.Text("iface"), b.Text("iface")))
	})
	for _, b := range rows {
		i := c.interfaceOf(c.who.id, b.Text("iface"))
		if i.IsZero() || b.Value("vnode") == nil {
			return
		}
		c.linef("BRIDGE IDX=%d IFACE=%s VNODE=%s LINKNAME=%s", b.Int("bridx"), i.Text("mac"), b.Text("vnode"), b.Text("vname"))
	}
}

// queue writes the parameters of a queue; suffix is 0, 1 or nothing.
func queue(b *strings.Builder, r testbed.Row, prefix, suffix string) {
	for _, f := range []string{"limit", "maxthresh", "minthresh", "weight", "linterm", "qinbytes", "bytes", "meanpsize",
		"wait", "setbit", "droptail", "gentle"} {
		fmt.Fprintf(b, " %s%s=%s", strings.ToUpper(f), suffix, r.Text(prefix+f))
	}
}

// linkDelay shapes links at the node itself: a vnode's own virtual interfaces,
// or those of a host, and its physical ones, that are no vnode's.
func (c *call) linkDelay() {
	for d := range c.where("linkdelays", "exptidx", c.who.exptidx, "node_id", c.who.host) {
		virtual := false
		for v := range c.where("vinterfaces", "node_id", c.who.host, "IP", d.Text("ip")) {
			virtual = true
			if c.who.vnode && v.Is("vnode_id", c.who.id) || !c.who.vnode && v.Value("vnode_id") == nil {
				c.linkDelayLine(d, v.Text("mac"))
			}
		}
		if !virtual && !c.who.vnode {
			c.linkDelayLine(d, c.interfaceOf(c.who.host, d.Text("iface")).Text("mac"))
		}
	}
}

func (c *call) linkDelayLine(d testbed.Row, mac string) {
	var b strings.Builder
	fmt.Fprintf(&b, "LINKDELAY IFACE=%s TYPE=%s LINKNAME=%s VNODE=%s INET=%s MASK=%s", mac, d.Text("type"), d.Text("vlan"),
		d.Text("vnode"), d.Text("ip"), cmp.Or(d.Text("netmask"), usualMask))
	fmt.Fprintf(&b, " PIPE=%s DELAY=%s BW=%s PLR=%s", d.Text("pipe"), d.Text("delay"), d.Text("bandwidth"), d.Text("lossrate"))
	fmt.Fprintf(&b, " RPIPE=%s RDELAY=%s RBW=%s RPLR=%s", d.Text("rpipe"), d.Text("rdelay"), d.Text("rbandwidth"), d.Text("rlossrate"))
	fmt.Fprintf(&b, " RED=%s", d.Text("q_red"))
	queue(&b, d, "q_", "")
	c.linef("%s", b.String())
}
