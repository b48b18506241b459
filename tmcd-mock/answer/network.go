package answer

import (
	"iter"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

func (c *call) memberAttributes(m testbed.Row) iter.Seq[testbed.Row] {
	return c.where("lan_member_attributes", "lanid", m.Text("lanid"), "memberid", m.Text("memberid"))
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
			if key := a.Text("attrkey"); len(key) < len("tunnel_") || !strings.EqualFold(key[:len("tunnel")], "tunnel") {
				continue // SQL's like 'tunnel_%', where _ is any character
			}
			list = append(list, protocol.TunnelKey{Tunnel: m.Int("lanid"), Member: m.Int("memberid"),
				Key: a.Text("attrkey"), Value: a.Text("attrvalue")})
		}
	}
	c.reply(list)
}

func (c *call) routing() {
	r := protocol.Routing{Type: c.who.node.Text("routertype")}
	if r.Type == "" {
		return // and no routes either
	}
	if r.Type != "static" || c.version < 19 {
		r.Routes = c.routes()
	}
	c.reply(r)
}

// routeList has the routes of every name that is mapped to the node: a
// simulator may have several, a node without a row in v2pmap has none.
func (c *call) routeList() {
	kind := c.who.node.Text("routertype")
	if kind == "" {
		return
	}
	mapped := map[string]bool{}
	for m := range c.where("v2pmap", "exptidx", c.who.exptidx, "node_id", c.who.id) {
		mapped[strings.ToLower(m.Text("vname"))] = true
	}
	c.linef("ROUTERTYPE=%s", kind)
	for r := range c.db.Where("virt_routes", "exptidx", c.who.exptidx) {
		if mapped[strings.ToLower(r.Text("vname"))] {
			c.linef("ROUTE NODE=%s SRC=%s DEST=%s DESTTYPE=%s DESTMASK=%s NEXTHOP=%s COST=%s", r.Text("vname"), r.Text("src"),
				destination(r), r.Text("dst_type"), r.Text("dst_mask"), r.Text("nexthop"), r.Text("cost"))
		}
	}
}

// destination is where a route leads: for a net without the host's bits.
func destination(r testbed.Row) string {
	if r.Is("dst_type", "net") {
		return masked(r.Text("dst"), r.Text("dst_mask"))
	}
	return r.Text("dst")
}

func (c *call) routes() []protocol.Route {
	var list []protocol.Route
	for r := range c.ofNode("virt_routes", "vname") {
		list = append(list, protocol.Route{Node: c.who.nickname, Dest: destination(r), DestType: r.Text("dst_type"),
			DestMask: r.Text("dst_mask"), NextHop: r.Text("nexthop"), Cost: r.Int("cost"), Src: r.Text("src")})
	}
	return list
}
