package answer

import (
	"cmp"
	"slices"

	"emujail/tmcd-mock/testbed"
)

// firewallInfo gives the rules of a vnode's firewall to its host. The vnode
// itself, and all others, have none.
func (c *call) firewallInfo() {
	style := ""
	if c.who.vnode && !c.who.asVNode {
		for v := range c.ofNode("virt_nodes", "vname") {
			style = v.Text("firewall_style")
		}
	}
	if style == "" {
		c.linef("TYPE=none")
		return
	}
	const kind = "iptables-domU"
	c.linef("TYPE=%s STYLE=%s IN_IF=na OUT_IF=na IN_VLAN=0 OUT_VLAN=0", kind, style)
	c.firewallVars()
	c.firewallRules(kind, style)
	if c.version >= 25 {
		c.firewallHosts()
	}
}

func (c *call) firewallVars() {
	if c.version >= 22 {
		gateway := c.db.SiteVar("node/gw_ip")
		if gateway == "" {
			gateway = c.site.Gateway
		}
		c.firewallVar("EMULAB_GWIP", gateway)
		if mac := c.db.SiteVar("node/gw_mac"); mac != "" {
			c.firewallVar("EMULAB_GWMAC", mac)
		}
		for v := range c.db.Rows("default_firewall_vars") {
			c.firewallVar(v.Text("name"), v.Text("value"))
		}
	}
	c.firewallVar("EMULAB_SSHDPORT", c.who.node.Text("sshdport"))
}

func (c *call) firewallVar(name, value string) { c.linef(`VAR=%s VALUE="%s"`, name, value) }

// firewallRules: the experiment's own, then the default ones of the style.
func (c *call) firewallRules(kind, style string) {
	var rules []testbed.Row
	for r := range c.db.Where("firewall_rules", "exptidx", c.who.exptidx) {
		if r.Is("fwname", c.who.nickname) {
			rules = append(rules, r)
		}
	}
	byNumber := func(a, b testbed.Row) int { return cmp.Compare(a.Int("ruleno"), b.Int("ruleno")) }
	slices.SortStableFunc(rules, byNumber)
	own := len(rules)
	for r := range c.db.Where("default_firewall_rules", "type", kind) {
		if r.Is("style", style) && r.Bool("enabled") {
			rules = append(rules, r)
		}
	}
	slices.SortStableFunc(rules[own:], byNumber)
	for _, r := range rules {
		c.linef(`RULENO=%s RULE="%s"`, r.Text("ruleno"), r.Text("rule"))
	}
}

// firewallHosts names the nodes behind the firewall, from version 26 on with
// their MAC addresses, and from 34 on the servers.
func (c *call) firewallHosts() {
	for r := range c.db.Where("reserved", "exptidx", c.who.exptidx) {
		i := control(c.db, r.Text("node_id"))
		switch {
		case i.IsZero():
		case c.version < 26:
			c.linef("HOST=%s CNETIP=%s", r.Text("vname"), i.Text("IP"))
		default:
			c.linef("HOST=%s CNETIP=%s CNETMAC=%s", r.Text("vname"), i.Text("IP"), i.Text("mac"))
		}
	}
	if c.version < 34 {
		return
	}
	for n := range c.db.Rows("nodes") {
		if n.Is("role", "ctrlnode") {
			i := control(c.db, n.Text("node_id"))
			c.linef("SERVER=%s CNETIP=%s CNETMAC=%s", n.Text("node_id"), i.Text("IP"), i.Text("mac"))
		}
	}
}

// arpInfo: whether ARP is locked down, and for a control node everybody's
// control address. TLS only, for all.
func (c *call) arpInfo() {
	if c.q.Transport != TLS {
		c.refuse("arpinfo without TLS")
		return
	}
	lockdown := c.db.SiteVar("general/arplockdown")
	c.linef("ARPTYPE=%s", cmp.Or(lockdown, "none"))
	if c.who.node.Is("role", "ctrlnode") && !c.who.vnode {
		for i := range c.db.Rows("interfaces") {
			node := c.db.First("nodes", "node_id", i.Text("node_id"))
			if i.Is("role", "ctrl") && !node.Is("role", "ctrlnode") {
				c.linef("HOST=%s CNETIP=%s CNETMAC=%s", i.Text("node_id"), i.Text("IP"), i.Text("mac"))
			}
		}
		return
	}
	if lockdown == "" || lockdown == "none" {
		return
	}
	for _, server := range []string{"boss", "ops", "fs", "gw"} {
		ip, mac := c.db.SiteVar("node/"+server+"_ip"), c.db.SiteVar("node/"+server+"_mac")
		if ip != "" && mac != "" {
			c.linef("SERVER=%s CNETIP=%s CNETMAC=%s", server, ip, mac)
		}
	}
}
