package answer

import (
	"encoding/binary"
	"net/netip"

	"emujail/protocol"
)

// subNodeList lists what hangs on this node, for clients from version 24 on.
func (c *call) subNodeList() {
	if c.version <= 23 {
		return
	}
	var list protocol.SubNodeList
	for n := range c.db.Where("nodes", "phys_nodeid", c.who.id) {
		kind := c.db.First("node_types", "type", n.Text("type"))
		if kind.Is("issubnode", "1") {
			list = append(list, protocol.SubNode{ID: n.Text("node_id"), Type: kind.Text("class")})
		}
	}
	c.reply(list)
}

// subConfig configures what is built into a host: a network processor or a
// mote. The host asks for it by its name.
func (c *call) subConfig() {
	if c.version <= 23 {
		return
	}
	kind := c.who.own
	if !kind.Bool("issubnode") {
		c.refuse("%s is no subnode", c.who.id)
		return
	}
	switch name := kind.Text("type"); name {
	case "ixp-bv":
		c.ixpConfig()
	case "mica2":
		for l := range c.db.Where("tiplines", "node_id", c.who.id) {
			c.linef("TYPE=%s\nCAPSERVER=%s\nCAPPORT=%s", name, l.Text("server"), l.Text("portnum"))
		}
	default:
		c.refuse("subnodes of type %s have no configuration", name)
	}
}

// ixpConfig: the two ends of the card's own link, the network processor's and
// its host's, which are interfaces of one card number.
func (c *call) ixpConfig() {
	own := control(c.db, c.who.id)
	if own.IsZero() {
		c.refuse("%s has no control interface", c.who.id)
		return
	}
	host := first(c.where("interfaces", "node_id", c.who.host, "card", own.Text("card")))
	if host.Value("mask") == nil {
		c.refuse("%s has no interface on card %s, or one without mask", c.who.host, own.Text("card"))
		return
	}
	all, ok := broadcast(own.Text("IP"), maskOf(host))
	if !ok {
		c.refuse("address %q, mask %q", own.Text("IP"), maskOf(host))
		return
	}
	name := ""
	if c.who.allocated() {
		name = c.who.nickname
	}
	c.linef("IXP_IP=\"%s\"\nIXP_IFACE=\"%s\"\nIXP_BCAST=\"%s\"\nIXP_HOSTNAME=\"%s\"", own.Text("IP"), own.Text("iface"), all, name)
	c.linef("HOST_IP=\"%s\"\nHOST_IFACE=\"%s\"\nNETMASK=\"%s\"", host.Text("IP"), host.Text("iface"), host.Text("mask"))
}

// broadcast is the last address of a network.
func broadcast(ip, mask string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(ip)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return a, false
	}
	x, y := a.As4(), m.As4()
	n := binary.BigEndian.Uint32(x[:]) | ^binary.BigEndian.Uint32(y[:])
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n))), true
}
