package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// ifconfig lists the experiment interfaces. A host sees what it has to build,
// for itself or for a vnode (VNODEID); a vnode that asks itself (PROXYFOR) sees
// what it has (docs/spec/protocol.md §5). A node whose slice makes its links
// by hand (bit 2 of geniflags) gets only what is virtual, in every version.
func (c *call) ifconfig() {
	if c.who.expt.Int("geniflags")&2 == 0 {
		c.addressed()
		c.sharedLAN()
		if c.version >= 16 {
			c.interfaceSettings()
		}
		if c.version < 10 {
			return
		}
	}
	if c.version >= 18 && !c.who.vnode {
		c.carriers()
	}
	c.virtual()
	if c.who.asVNode {
		c.tunnelEnds()
	}
	if c.version >= 40 {
		c.aliases()
	}
}

// interfaceNode is the node whose interface rows are the asker's: a subnode has
// its own.
func (c *call) interfaceNode() string {
	if c.who.own.Bool("issubnode") {
		return c.who.id
	}
	return c.who.host
}

// belongs reports whether an interface row is given to the asker: to the vnode,
// or to no vnode at all. The zero Row is given to nobody.
func (c *call) belongs(i testbed.Row) bool {
	if c.who.vnode && !c.who.own.Bool("issubnode") {
		return i.Is("vnode_id", c.who.id)
	}
	return i.Value("vnode_id") == nil
}

// addressed are the physical interfaces that have an address.
func (c *call) addressed() {
	for i := range c.db.Where("interfaces", "node_id", c.interfaceNode()) {
		if !i.Has("IP") || !i.Is("role", "expt") || !c.belongs(i) {
			continue
		}
		onIt := c.where("virt_lans", "eid", c.who.eid, "pid", c.who.pid, "vnode", c.who.nickname, "ip", i.Text("IP"))
		for _, lan := range orNone(onIt) {
			c.linef("%s", c.addressedLine(i, lan.Text("vname")))
		}
	}
}

func (c *call) addressedLine(i testbed.Row, lan string) string {
	var b strings.Builder
	switch {
	case c.version < 10:
		fmt.Fprintf(&b, "INTERFACE=%d ", i.Int("card"))
	case c.version <= 15:
		b.WriteString("IFACETYPE=eth ")
	default:
		fmt.Fprintf(&b, "INTERFACE IFACETYPE=%s ", i.Text("interface_type"))
	}
	fmt.Fprintf(&b, "INET=%s MASK=%s MAC=%s SPEED=%sMbps DUPLEX=%s", i.Text("IP"), maskOf(i), i.Text("mac"),
		cmp.Or(i.Text("current_speed"), "100"), cmp.Or(i.Text("duplex"), "full"))
	if c.version >= 8 && c.version < 27 {
		fmt.Fprintf(&b, ` IPALIASES="%s"`, c.ipAliases())
	}
	if c.version >= 11 {
		iface := ""
		if c.who.own.Text("class") == "ixp" {
			iface = i.Text("iface")
		}
		fmt.Fprintf(&b, " IFACE=%s", iface)
	}
	if c.version >= 14 {
		fmt.Fprintf(&b, " RTABID=%s", i.Text("rtabid"))
	}
	if c.version >= 17 {
		fmt.Fprintf(&b, " LAN=%s", lan)
	}
	return b.String()
}

// ipAliases are all second addresses that lie on the node, as old clients want
// them behind each interface. A comma stands after each but the last row, and
// a row without an address leaves none.
func (c *call) ipAliases() string {
	rows := slices.Collect(c.where("vinterfaces", "node_id", c.who.id, "type", "alias"))
	list := ""
	for n, v := range rows {
		if v.Value("IP") == nil {
			continue
		}
		list += v.Text("IP")
		if n < len(rows)-1 {
			list += ","
		}
	}
	return list
}

// sharedLAN is a LAN that only four attributes of the node tell of.
func (c *call) sharedLAN() {
	var values []any
	for _, a := range []struct {
		key   string
		limit int
	}{{"shared_lan_ip", 15}, {"shared_lan_mask", 15}, {"shared_lan_mac", 17}, {"shared_lan_speed", 7}} {
		for r := range c.db.Where("node_attributes", "node_id", c.who.id) {
			if r.Text("attrkey") == a.key && r.Value("attrvalue") != nil {
				v := r.Text("attrvalue")
				values = append(values, v[:min(len(v), a.limit)])
			}
		}
	}
	if len(values) == 4 {
		c.linef("INTERFACE IFACETYPE=ixgbe INET=%s MASK=%s MAC=%s SPEED=%sMbps DUPLEX=full IFACE= RTABID=0 LAN=shared_lan_0", values...)
	}
}

// interfaceSettings are properties of physical interfaces, those without an
// address and the control interface included.
func (c *call) interfaceSettings() {
	for s := range c.db.Where("interface_settings", "node_id", c.interfaceNode()) {
		for _, i := range orNone(filter(c.db.Where("interfaces", "node_id", c.interfaceNode()), sameIface(s))) {
			if c.belongs(i) {
				c.linef("INTERFACE_SETTING MAC=%s KEY='%s' VAL='%s'", i.Text("mac"), s.Text("capkey"), s.Text("capval"))
			}
		}
	}
}

// carriers are the physical interfaces below virtual ones or delays: up, but
// without an address.
func (c *call) carriers() {
	aliases := ""
	if c.version < 27 {
		aliases = `IPALIASES="" `
	}
	for i := range c.db.Where("interfaces", "node_id", c.who.host) {
		speed := i.Text("current_speed")
		if i.Has("IP") || !i.Is("role", "expt") || speed == "" || speed == "0" {
			continue
		}
		c.linef("INTERFACE IFACETYPE=%s INET= MASK= MAC=%s SPEED=%sMbps DUPLEX=%s %sIFACE= RTABID= LAN=",
			i.Text("interface_type"), i.Text("mac"), speed, i.Text("duplex"), aliases)
	}
}

// virtual are the vnode's virtual interfaces, or the host's own.
func (c *call) virtual() {
	for v := range c.db.Where("vinterfaces", "node_id", c.who.host) {
		mine := v.Value("vnode_id") == nil
		if c.who.vnode {
			mine = v.Is("vnode_id", c.who.id)
		}
		if !mine || !v.Is("exptidx", c.who.exptidx) || v.Is("type", "alias") {
			continue
		}
		c.eachLink(v, func(l link) {
			if c.who.asVNode {
				c.inside("any", v.Text("IP"), v.Text("mask"), v.Text("mac"), l.name)
			} else {
				c.built(v, l)
			}
		})
	}
}

// link is what other tables say of a virtual interface.
type link struct {
	phys testbed.Row // interfaces: the one below
	name string      // of the LAN in the experiment
	lan  testbed.Row // lans
	tag  string      // of the VLAN
}

// eachLink calls f for each combination of the rows that go with a virtual
// interface, as a join does; there is one if none of them is there.
func (c *call) eachLink(v testbed.Row, f func(link)) {
	vlan := v.Text("vlanid")
	for a := range c.where("lan_attributes", "lanid", vlan, "attrkey", "stack") {
		if a.Value("attrvalue") != nil && !a.Is("attrvalue", "Experimental") {
			return // a LAN of the testbed's own
		}
	}
	name, ok := c.lanName(c.who.exptidx, v.Text("virtlanidx"))
	named := func(l testbed.Row) bool { return ok && l.Is("vname", name) }
	for _, phys := range orNone(filter(c.db.Where("interfaces", "node_id", c.who.host), sameIface(v))) {
		for _, lan := range orNone(filter(c.db.Where("lans", "exptidx", c.who.exptidx), named)) {
			for _, tag := range c.tags(vlan) {
				f(link{phys: phys, name: name, lan: lan, tag: tag})
			}
		}
	}
}

// tags are the tags of a VLAN: that of the VLAN as it was made, or else each
// that is set aside for it.
func (c *call) tags(vlan string) []string {
	made := c.db.First("vlans", "id", vlan)
	var tags []string
	for _, r := range orNone(c.db.Where("reserved_vlantags", "lanid", vlan)) {
		if !made.IsZero() {
			r = made
		}
		tags = append(tags, r.Text("tag"))
	}
	return tags
}

// built is a virtual interface as the host makes it.
func (c *call) built(v testbed.Row, l link) {
	kind, encapsulate, tag := v.Text("type"), 0, "0"
	switch {
	case kind == "veth":
		encapsulate, tag = 1, v.Text("virtlanidx")
	case kind == "veth-ne":
		kind, tag = "veth", v.Text("virtlanidx")
	case kind == "vlan" && l.phys.IsZero(): // all its members are on this host
		kind, tag = "loop", l.lan.Text("lanid")
	case kind == "vlan":
		tag = l.tag
	}
	if c.version < 27 && kind != "veth" {
		return
	}
	var b strings.Builder
	if c.version >= 16 {
		b.WriteString("INTERFACE ")
	}
	pmac := "none"
	if !l.phys.IsZero() {
		pmac = l.phys.Text("mac")
	}
	fmt.Fprintf(&b, "IFACETYPE=%s INET=%s MASK=%s ID=%s VMAC=%s PMAC=%s", kind, v.Text("IP"), maskOf(v), v.Text("unit"),
		v.Text("mac"), pmac)
	if c.version >= 14 {
		fmt.Fprintf(&b, " RTABID=%s", v.Text("rtabid"))
	}
	if c.version >= 15 {
		fmt.Fprintf(&b, " ENCAPSULATE=%d", encapsulate)
	}
	if c.version >= 17 {
		fmt.Fprintf(&b, " LAN=%s", l.name)
	}
	if c.version >= 20 {
		if tag == "" || tag[0] < '0' || tag[0] > '9' {
			tag = "0"
		}
		fmt.Fprintf(&b, " VTAG=%s", tag)
	}
	c.linef("%s", b.String())
}

// inside is an interface as the vnode itself is told of it.
func (c *call) inside(kind, ip, mask, mac, lan string) {
	c.linef("INTERFACE IFACETYPE=%s INET=%s MASK=%s MAC=%s SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=%s", kind, ip, mask, mac, lan)
}

// tunnelEnds: one line for each tunnel of the experiment, with nothing in it
// if the vnode has no end of it.
func (c *call) tunnelEnds() {
	for l := range c.where("lans", "exptidx", c.who.exptidx, "type", "tunnel") {
		attr := map[string]string{}
		for m := range c.where("lan_members", "node_id", c.who.id, "lanid", l.Text("lanid")) {
			for a := range c.memberAttributes(m) {
				attr[a.Text("attrkey")] = a.Text("attrvalue")
			}
		}
		c.inside("gre", attr["tunnel_ip"], attr["tunnel_ipmask"], attr["tunnel_mac"], attr["tunnel_lan"])
	}
}

// aliases are second addresses: a host gets all that lie on it, of whatever
// experiment, a vnode that asks itself its own. One whose LAN has no name, or
// that lacks a column, is left out.
func (c *call) aliases() {
	rows := c.db.Where("vinterfaces", "node_id", c.who.id)
	if c.who.asVNode {
		rows = c.db.Where("vinterfaces", "vnode_id", c.who.id)
	}
	for v := range rows {
		lan, whole := c.lanName(v.Text("exptidx"), v.Text("virtlanidx"))
		for _, col := range []string{"IP", "mask", "unit", "mac"} {
			whole = whole && v.Value(col) != nil
		}
		if whole && v.Is("type", "alias") {
			c.linef("INTERFACE IFACETYPE=alias INET=%s MASK=%s ID=%s VMAC=%s PMAC=none RTABID= ENCAPSULATE=0 LAN=%s VTAG=",
				v.Text("IP"), maskOf(v), v.Text("unit"), v.Text("mac"), lan)
		}
	}
}

// lanName is the name of an experiment's LAN with this index; false if there is
// no such LAN.
func (c *call) lanName(exptidx, idx string) (string, bool) {
	l := first(c.where("virt_lan_lans", "exptidx", exptidx, "idx", idx))
	return l.Text("vname"), !l.IsZero()
}

// sameIface matches rows of interfaces with the interface that r names.
func sameIface(r testbed.Row) func(testbed.Row) bool {
	return func(i testbed.Row) bool { return r.Value("iface") != nil && i.Is("iface", r.Text("iface")) }
}

// usualMask is the netmask that tmcd takes for granted.
const usualMask = "255.255.255.0"

func maskOf(r testbed.Row) string { return cmp.Or(r.Text("mask"), usualMask) }
