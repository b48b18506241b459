package answer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// arpInfo: how far ARP is locked down, and the control addresses of the
// servers; a subboss learns those of its nodes too, ops and fs everybody's.
// TLS only, for all, and only on the control network.
func (c *call) arpInfo() {
	if c.q.Transport != TLS {
		c.refuse("arpinfo without TLS")
		return
	}
	if !c.onControlNet(c.client().String()) {
		return
	}
	kind := c.db.SiteVar("general/arplockdown")
	if kind != "none" && kind != "static" && kind != "staticonly" {
		c.linef("ARPTYPE=none")
		return
	}
	c.linef("ARPTYPE=%s", kind)
	c.arpServers()
	switch {
	case c.who.reserved.Text("erole") == "subboss":
		c.arpServed()
	case c.who.called == "ops" || c.who.called == "fs":
		c.arpEverybody()
	}
}

// client is the address that asks.
func (c *call) client() netip.Addr {
	if a, ok := dotted(c.q.Request.Redirect); ok {
		return a
	}
	return c.q.Source.Unmap()
}

func (c *call) onControlNet(ip string) bool { return within(ip, c.site.ControlNet, c.site.ControlMask) }

// within reports whether an address is in a network.
func within(ip, network, mask string) bool {
	number := func(s string) (uint32, bool) {
		a, ok := dotted(s)
		if !ok {
			return 0, false
		}
		b := a.As4()
		return binary.BigEndian.Uint32(b[:]), true
	}
	a, ok1 := number(ip)
	n, ok2 := number(network)
	m, ok3 := number(mask)
	return ok1 && ok2 && ok3 && a&m == n
}

func (c *call) arpLine(what, name, ip, mac string) {
	c.linef("%s=%s CNETIP=%s CNETMAC=%s", what, name, ip, mac)
}

// arpServers: those of the site's variables, then the subbosses. fs isn't
// named when it is ops.
func (c *call) arpServers() {
	ops := ""
	for _, name := range []string{"gw", "boss", "ops", "fs"} {
		ip, mac := c.siteValue("node/"+name+"_ip"), c.siteValue("node/"+name+"_mac")
		if ip == "" || mac == "" || !c.onControlNet(ip) || name == "fs" && ip == ops {
			continue
		}
		if name == "ops" {
			ops = ip
		}
		c.arpLine("SERVER", name, ip, plainMAC(mac))
	}
	for i := range c.db.WhereAny("interfaces", "node_id", c.subbosses()...) {
		if i.Is("role", "ctrl") && c.onControlNet(i.Text("IP")) {
			c.arpLine("SERVER", i.Text("node_id"), i.Text("IP"), i.Text("mac"))
		}
	}
}

// subbosses are the ids of those that serve somebody, each once.
func (c *call) subbosses() []string {
	seen := map[string]bool{}
	var list []string
	for s := range c.db.Rows("subbosses") {
		if id := s.Text("subboss_id"); !s.Bool("disabled") && !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// siteValue is a site variable's value, without the default.
func (c *call) siteValue(name string) string {
	return c.db.First("sitevariables", "name", name).Text("value")
}

// plainMAC is a MAC address without colons, if that is what they part.
func plainMAC(s string) string {
	var b [6]uint
	if n, _ := fmt.Sscanf(s, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]); n != len(b) {
		return s[:min(len(s), 17)]
	}
	return fmt.Sprintf("%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// arpServed are the nodes that a subboss serves, each address once.
func (c *call) arpServed() {
	seen := map[[3]string]bool{}
	for s := range c.db.Where("subbosses", "subboss_id", c.who.id) {
		if s.Bool("disabled") {
			continue
		}
		for i := range c.where("interfaces", "node_id", s.Text("node_id"), "role", "ctrl") {
			host := [3]string{i.Text("node_id"), i.Text("IP"), i.Text("mac")}
			if !seen[host] && !slices.Contains(host[:], "") {
				c.arpLine("HOST", host[0], host[1], host[2])
			}
			seen[host] = true
		}
	}
}

// arpEverybody: testnodes on the control network, and vnodes on that or the
// jails'.
func (c *call) arpEverybody() {
	for i := range c.db.Rows("interfaces") {
		node := c.db.First("nodes", "node_id", i.Text("node_id"))
		vnode := node.Is("role", "virtnode")
		mac := i.Text("mac")
		switch {
		case !i.Is("role", "ctrl") && !i.Is("role", "mngmnt"):
		case !vnode && !node.Is("role", "testnode"):
		case mac == "" || strings.HasPrefix(mac, "000000") || !i.Has("IP"):
		case !c.onControlNet(i.Text("IP")) && !(vnode && within(i.Text("IP"), c.site.JailNet, c.site.JailMask)):
		default:
			for _, seen := range c.macSeen(node, mac) {
				c.arpLine("HOST", i.Text("node_id"), i.Text("IP"), seen)
			}
		}
	}
}

// macSeen is the MAC address that a node has for others: a Xen host that
// routes hides its vnodes behind its own, of which it may have several.
func (c *call) macSeen(node testbed.Row, mac string) []string {
	host := c.db.First("nodes", "node_id", node.Text("phys_nodeid"))
	res := c.db.First("reserved", "node_id", node.Text("phys_nodeid"))
	var macs []string
	own := slices.Values([]testbed.Row(nil))
	if !res.IsZero() {
		own = c.where("interfaces", "node_id", res.Text("node_id"), "role", "ctrl")
	}
	routes := node.Is("role", "virtnode") && (c.siteValue("general/xenvifrouting") != "" || c.asksToRoute(res)) && c.xenHost(host)
	for _, i := range orNone(own) {
		if routes && i.Value("mac") != nil {
			macs = append(macs, i.Text("mac"))
		} else {
			macs = append(macs, mac)
		}
	}
	return macs
}

// xenHost: the node's default OS can carry Xen's vnodes.
func (c *call) xenHost(node testbed.Row) bool {
	features := c.currentOS(node.Text("def_boot_osid")).Text("osfeatures")
	return slices.ContainsFunc(strings.Split(features, ","), func(f string) bool { return strings.EqualFold(f, "xen-host") })
}

// asksToRoute: the experiment wants the host of this reservation to route.
func (c *call) asksToRoute(res testbed.Row) bool {
	if res.IsZero() {
		return false
	}
	a := first(c.where("virt_node_attributes", "exptidx", res.Text("exptidx"), "vname", res.Text("vname"), "attrkey", "xenvifrouting"))
	return a.Value("attrvalue") != nil
}
