package answer

import (
	"cmp"
	"fmt"

	"emujail/tmcd-mock/testbed"
)

// firewall is what firewallInfo found out about the asker's firewall.
type firewall struct {
	kind, style, log string
	name             string // of its rules
	card, vlan       string // MAC address of the interface, VLAN
}

// firewallInfo gives a firewall its rules. Vnodes and the hosts of vnodes are
// firewalled by the host, so a vnode itself knows nothing of it; for the other
// nodes a node of the experiment may be the firewall, which the others learn.
func (c *call) firewallInfo() {
	find := c.nodeFirewall
	if c.firewalledByHost() {
		find = c.hostFirewall
	}
	fw, ok := find()
	if !ok {
		return
	}
	c.linef("TYPE=%s STYLE=%s IN_IF=%s OUT_IF=%s IN_VLAN=%s OUT_VLAN=%s", fw.kind, fw.style, fw.card, fw.card, fw.vlan, fw.vlan)
	if c.version >= 26 && fw.log != "" {
		c.linef("LOG=%s", fw.log)
	}
	c.firewallVars()
	c.firewallRules(fw)
	if c.version >= 25 {
		c.firewallHosts()
	}
	if c.version >= 34 {
		c.firewallServers()
	}
}

func (c *call) firewalledByHost() bool {
	role := c.who.reserved.Text("erole")
	return c.who.vnode || role == "virthost" || role == "sharedhost"
}

// hostFirewall is the firewall that the host makes, for a vnode or for itself.
// When there is none that is said already.
func (c *call) hostFirewall() (fw firewall, ok bool) {
	for v := range c.ofNode("virt_nodes", "vname") {
		if c.who.asVNode || v.Value("firewall_style") == nil {
			continue
		}
		fw = firewall{kind: "iptables-dom0", style: v.Text("firewall_style"), log: v.Text("firewall_log"), card: "na", vlan: "0"}
		if c.who.vnode {
			fw.kind = "iptables-domU"
		}
		// A host that isn't shared has no rules of its own: the original asks
		// for them by a name that it never set.
		if c.who.vnode || c.who.sharing != "" {
			fw.name = c.who.nickname
		}
		return fw, true
	}
	c.linef("TYPE=none")
	return fw, false
}

// nodeFirewall is the asker, if it is its experiment's firewall. When it isn't,
// what it learns instead is said already.
func (c *call) nodeFirewall() (fw firewall, ok bool) {
	node, card, row := c.firewallNode()
	virt := c.virtFirewall(row.Text("fwname"))
	if node == "" || virt.IsZero() {
		c.linef("TYPE=none")
		return fw, false
	}
	fw = firewall{kind: virt.Text("type"), style: virt.Text("style"), log: virt.Text("log"), card: card.Text("mac"),
		vlan: cmp.Or(row.Text("vlan"), "0"), name: row.Text("fwname")}
	if c.who.sharing != "" {
		fw.name = c.who.nickname
	}
	if node == c.who.id {
		return fw, true
	}
	ip := card.Text("IP")
	if fw.kind == "ipfw2-vlan" || fw.kind == "iptables-vlan" {
		ip = "0.0.0.0" // the switch enforces it, nothing to do for the node
	}
	c.linef("TYPE=remote FWIP=%s", ip)
	return fw, false
}

// firewallNode is the node that is the experiment's firewall, with its control
// interface and the firewall's row: the first by name that there is.
func (c *call) firewallNode() (node string, card, row testbed.Row) {
	for f := range c.ofExperiment("firewalls") {
		for r := range c.where("reserved", "vname", f.Text("fwname"), "pid", c.who.pid, "eid", c.who.eid) {
			if i := control(c.db, r.Text("node_id")); !i.IsZero() {
				return r.Text("node_id"), i, f
			}
		}
	}
	return "", card, row
}

func (c *call) virtFirewall(name string) testbed.Row {
	return first(c.ofExperiment("virt_firewalls", "fwname", name))
}

func (c *call) firewallVars() {
	if c.version >= 22 {
		mac := c.db.First("sitevariables", "name", "node/gw_mac")
		if mac.Value("value") != nil {
			c.firewallVar("EMULAB_GWIP", c.site.Gateway)
			c.firewallVar("EMULAB_GWMAC", mac.Text("value"))
		}
		for v := range c.db.Rows("default_firewall_vars") {
			if v.Value("name") != nil && v.Value("value") != nil {
				c.firewallVar(v.Text("name"), v.Text("value"))
			}
		}
	}
	if c.who.vnode {
		c.firewallVar("EMULAB_SSHDPORT", c.who.node.Text("sshdport"))
	}
}

func (c *call) firewallVar(name, value string) { c.linef(`VAR=%s VALUE="%s"`, name, value) }

// firewallRules: the experiment's own, then the default ones of the style.
func (c *call) firewallRules(fw firewall) {
	var rules []testbed.Row
	if fw.name != "" {
		rules = sorted(c.ofExperiment("firewall_rules", "fwname", fw.name), "ruleno")
	}
	enabled := func(r testbed.Row) bool { return r.Bool("enabled") }
	rules = append(rules, sorted(filter(c.where("default_firewall_rules", "type", fw.kind, "style", fw.style), enabled), "ruleno")...)
	for _, r := range rules {
		c.linef(`RULENO=%s RULE="%s"`, r.Text("ruleno"), r.Text("rule"))
	}
}

// firewallHosts names the nodes behind the firewall with each control address,
// from version 26 on with the MAC address.
func (c *call) firewallHosts() {
	for r := range c.db.Where("reserved", "exptidx", c.who.exptidx) {
		for _, i := range controls(c.db, r.Text("node_id")) {
			line := fmt.Sprintf("HOST=%s CNETIP=%s", r.Text("vname"), i.Text("IP"))
			if c.version >= 26 {
				line += " CNETMAC=" + i.Text("mac")
			}
			c.linef("%s", line)
		}
	}
}

// firewallServers names the testbed's servers that are on the control network.
func (c *call) firewallServers() {
	servers := append([]string{"boss", "ops", "fs"}, c.subbosses()...)
	network := masked(c.site.ControlNet, c.site.ControlMask)
	for i := range c.db.WhereAny("interfaces", "node_id", servers...) {
		if i.Is("role", "ctrl") && masked(i.Text("IP"), c.site.ControlMask) == network {
			c.linef("SERVER=%s CNETIP=%s CNETMAC=%s", i.Text("node_id"), i.Text("IP"), i.Text("mac"))
		}
	}
}
