package answer

import (
	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// ifconfig lists the experiment interfaces. A host sees what it has to build,
// for itself or for a vnode (VNODEID); a vnode that asks itself (PROXYFOR) sees
// what it has (docs/spec/protocol.md §5).
func (c *call) ifconfig() {
	var r protocol.IfConfig
	if !c.who.vnode {
		r.Interfaces = c.physical()
	}
	r.Interfaces = append(r.Interfaces, c.virtual()...)
	if c.who.asVNode {
		r.Interfaces = append(r.Interfaces, c.tunnelEnds()...)
	}
	if !c.who.vnode || c.who.asVNode {
		r.Interfaces = append(r.Interfaces, c.aliases()...)
	}
	c.reply(r)
}

// physical are interfaces with an address, then those that carry others'.
func (c *call) physical() []protocol.Interface {
	var with, without []protocol.Interface
	for i := range c.db.Where("interfaces", "node_id", c.who.id) {
		if !i.Is("role", "expt") {
			continue
		}
		out := protocol.Interface{Type: i.Text("interface_type"), MAC: i.Text("mac"),
			Speed: i.Text("current_speed") + "Mbps", Duplex: i.Text("duplex"), Unit: i.Text("card")}
		if ip := i.Text("IP"); ip != "" {
			out.INET, out.Mask, out.RTabID = ip, i.Text("mask"), i.Text("rtabid")
			out.LAN = c.lanOf(ip)
			for s := range c.db.Where("interface_settings", "node_id", c.who.id) {
				if s.Is("iface", i.Text("iface")) {
					out.Settings = append(out.Settings, protocol.Setting{MAC: out.MAC, Key: s.Text("capkey"), Value: s.Text("capval")})
				}
			}
			with = append(with, out)
		} else if i.Int("current_speed") != 0 {
			without = append(without, out)
		}
	}
	return append(with, without...)
}

// lanOf is the name of the LAN on which the experiment has this address.
func (c *call) lanOf(ip string) string {
	for l := range c.db.Where("virt_lans", "exptidx", c.who.exptidx) {
		if l.Is("ip", ip) {
			return l.Text("vname")
		}
	}
	return ""
}

// lanName is the name of the experiment's LAN with this index.
func (c *call) lanName(idx string) string {
	for l := range c.db.Where("virt_lan_lans", "exptidx", c.who.exptidx) {
		if l.Is("idx", idx) {
			return l.Text("vname")
		}
	}
	return ""
}

// vinterfaces are the virtual interfaces of the asker: a vnode's own, or those
// of the host that belong to no vnode.
func (c *call) vinterfaces() func(func(testbed.Row) bool) {
	return func(yield func(testbed.Row) bool) {
		rows := c.db.Where("vinterfaces", "node_id", c.who.host)
		if c.who.vnode {
			rows = c.db.Where("vinterfaces", "vnode_id", c.who.id)
		}
		for v := range rows {
			mine := v.Is("vnode_id", c.who.id) || !c.who.vnode && !v.Has("vnode_id")
			if mine && v.Is("node_id", c.who.host) && v.Is("exptidx", c.who.exptidx) && !yield(v) {
				return
			}
		}
	}
}

func (c *call) virtual() []protocol.Interface {
	var list []protocol.Interface
	for v := range c.vinterfaces() {
		switch v.Text("type") {
		case "veth", "veth-ne", "vlan":
		default:
			continue
		}
		if c.who.asVNode {
			list = append(list, seenInside("any", v.Text("IP"), v.Text("mask"), v.Text("mac"), c.lanName(v.Text("virtlanidx"))))
			continue
		}
		list = append(list, c.built(v))
	}
	return list
}

// built is a virtual interface as the host makes it.
func (c *call) built(v testbed.Row) protocol.Interface {
	idx := v.Text("virtlanidx")
	out := protocol.Interface{Virtual: true, Type: v.Text("type"), INET: v.Text("IP"), Mask: v.Text("mask"),
		ID: v.Text("unit"), VMAC: v.Text("mac"), PMAC: "none", RTabID: v.Text("rtabid"), LAN: c.lanName(idx), VTag: idx}
	iface := v.Text("iface")
	if iface != "" {
		for i := range c.db.Where("interfaces", "node_id", c.who.host) {
			if i.Is("iface", iface) {
				out.PMAC = i.Text("mac")
			}
		}
	}
	switch out.Type {
	case "veth":
		out.Encapsulate = true
	case "veth-ne":
		out.Type = "veth"
	case "vlan":
		if iface == "" {
			out.Type, out.VTag = "loop", c.lanID(idx)
		} else {
			out.VTag = c.vlanTag(v.Text("vlanid"))
		}
	}
	return out
}

func (c *call) lanID(idx string) string {
	for l := range c.db.Where("lans", "exptidx", c.who.exptidx) {
		if l.Is("vidx", idx) {
			return l.Text("lanid")
		}
	}
	return "0"
}

func (c *call) vlanTag(id string) string {
	if v := c.db.First("vlans", "id", id); v.Int("tag") != 0 {
		return v.Text("tag")
	}
	if v := c.db.First("reserved_vlantags", "lanid", id); v.Int("tag") != 0 {
		return v.Text("tag")
	}
	return "0"
}

// seenInside is an interface as the vnode itself is told of it.
func seenInside(kind, ip, mask, mac, lan string) protocol.Interface {
	return protocol.Interface{Type: kind, INET: ip, Mask: mask, MAC: mac, Speed: "100Mbps", Duplex: "full", LAN: lan}
}

// tunnelEnds: one line for each tunnel of the experiment, with nothing in it
// if the vnode has no end of it.
func (c *call) tunnelEnds() []protocol.Interface {
	var list []protocol.Interface
	for l := range c.db.Where("lans", "exptidx", c.who.exptidx) {
		if !l.Is("type", "tunnel") {
			continue
		}
		attr := map[string]string{}
		for m := range c.db.Where("lan_members", "node_id", c.who.id) {
			if !m.Is("lanid", l.Text("lanid")) {
				continue
			}
			for a := range c.memberAttributes(m) {
				attr[a.Text("attrkey")] = a.Text("attrvalue")
			}
		}
		list = append(list, seenInside("gre", attr["tunnel_ip"], attr["tunnel_ipmask"], attr["tunnel_mac"], attr["tunnel_lan"]))
	}
	return list
}

func (c *call) memberAttributes(m testbed.Row) func(func(testbed.Row) bool) {
	return func(yield func(testbed.Row) bool) {
		for a := range c.db.Where("lan_member_attributes", "lanid", m.Text("lanid")) {
			if a.Is("memberid", m.Text("memberid")) && !yield(a) {
				return
			}
		}
	}
}

// aliases are second addresses: a host gets all that lie on it.
func (c *call) aliases() []protocol.Interface {
	rows := c.db.Where("vinterfaces", "node_id", c.who.host)
	if c.who.vnode {
		rows = c.db.Where("vinterfaces", "vnode_id", c.who.id)
	}
	var list []protocol.Interface
	for v := range rows {
		if v.Is("type", "alias") && v.Is("exptidx", c.who.exptidx) {
			list = append(list, protocol.Interface{Virtual: true, Type: "alias", INET: v.Text("IP"), Mask: v.Text("mask"),
				ID: v.Text("unit"), VMAC: v.Text("mac"), PMAC: "none", LAN: c.lanName(v.Text("virtlanidx"))})
		}
	}
	return list
}

// tunnels are the ends that the host builds; a vnode itself learns nothing.
func (c *call) tunnels() {
	if c.who.asVNode {
		return
	}
	var list protocol.Tunnels
	for m := range c.db.Where("lan_members", "node_id", c.who.id) {
		lan := c.db.First("lans", "lanid", m.Text("lanid"))
		if !lan.Is("type", "tunnel") || !lan.Is("exptidx", c.who.exptidx) {
			continue
		}
		for a := range c.memberAttributes(m) {
			list = append(list, protocol.TunnelKey{Tunnel: m.Int("lanid"), Member: m.Int("memberid"),
				Key: a.Text("attrkey"), Value: a.Text("attrvalue")})
		}
	}
	c.reply(list)
}

func (c *call) routing() {
	r := protocol.Routing{Type: c.who.node.Text("routertype")}
	if r.Type != "static" || c.version < 19 {
		r.Routes = c.routes()
	}
	c.reply(r)
}

// routeList is the same for simulators: always with routes.
func (c *call) routeList() {
	c.reply(protocol.RouteList{Type: c.who.node.Text("routertype"), Routes: c.routes()})
}

func (c *call) routes() []protocol.Route {
	var list []protocol.Route
	for r := range c.ofNode("virt_routes", "vname") {
		dst := r.Text("dst")
		if r.Is("dst_type", "net") {
			dst = masked(dst, r.Text("dst_mask"))
		}
		list = append(list, protocol.Route{Node: c.who.nickname, Dest: dst, DestType: r.Text("dst_type"),
			DestMask: r.Text("dst_mask"), NextHop: r.Text("nexthop"), Cost: r.Int("cost"), Src: r.Text("src")})
	}
	return list
}
