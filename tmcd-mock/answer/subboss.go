package answer

import (
	"fmt"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// Subbosses serve nodes in the place of boss: services for some nodes each.

// serviceInfo says which server does what for the node.
func (c *call) serviceInfo() {
	tftp, dhcp, frisbee, pubsub := "boss", "boss", "boss", "boss"
	by := map[string]*string{"tftp": &tftp, "dhcp": &dhcp, "frisbee": &frisbee, "pubsub": &pubsub}
	for s := range c.db.Where("subbosses", "node_id", c.who.id) {
		if p := by[s.Text("service")]; p != nil && !s.Bool("disabled") && s.Has("subboss_id") {
			*p = s.Text("subboss_id")
		}
	}
	c.linef("TFTP=%s DHCP=%s FRISBEE=%s PUBSUB=%s", tftp, dhcp, frisbee, pubsub)
}

// frisbeeServer is the address of the subboss that sends images to the asker's
// host, else boss's.
func (c *call) frisbeeServer() string {
	for s := range c.where("subbosses", "node_id", c.who.host, "service", "frisbee") {
		if i := control(c.db, s.Text("subboss_id")); !s.Bool("disabled") && !i.IsZero() {
			return i.Text("IP")
		}
	}
	return c.site.BossIP
}

// dhcpdConf gives a subboss what its DHCP server says to each of its nodes.
func (c *call) dhcpdConf() {
	if !c.who.reserved.Is("erole", "subboss") {
		return
	}
	var nodes []testbed.Row
	for s := range c.where("subbosses", "subboss_id", c.who.id, "service", "dhcp") {
		if node := c.db.First("nodes", "node_id", s.Text("node_id")); !s.Bool("disabled") && !node.IsZero() {
			nodes = append(nodes, node)
		}
	}
	for _, node := range sorted(slices.Values(nodes), "priority") {
		for i := range c.where("interfaces", "node_id", node.Text("node_id"), "role", "ctrl") {
			c.linef("HOSTNAME=%s MAC=%s IP=%s%s", node.Text("node_id"), i.Text("mac"), i.Text("IP"), c.booted(node))
		}
	}
}

// booted is how a node is to be booted, a blank before each word.
func (c *call) booted(node testbed.Row) string {
	res := c.db.First("reserved", "node_id", node.Text("node_id"))
	var b strings.Builder
	switch {
	case res.Bool("inner_elab_boot"):
		fmt.Fprintf(&b, " INNER_ELAB_BOOT=1 INNER_ELAB_ROLE=%s", res.Text("inner_elab_role"))
		if experiment(c.db, res).Bool("elabinelab_singlenet") {
			b.WriteString(" SINGLENET=1")
		}
	case res.Bool("plab_boot"):
		b.WriteString(" PLAB_BOOT=1")
	}
	tftp, bootinfo := c.bootServers(node, res)
	for _, word := range [][2]string{{"TFTP", tftp}, {"BOOTINFO", bootinfo}} {
		if word[1] != "" {
			fmt.Fprintf(&b, " %s=%s", word[0], word[1])
		}
	}
	if path := c.pxePath(node); path != nil {
		fmt.Fprintf(&b, ` FILENAME="%s"`, *path)
	}
	return b.String()
}

// bootServers: nodes of an inner testbed boot from its boss, others from the
// first subboss that serves them.
func (c *call) bootServers(node, res testbed.Row) (tftp, bootinfo string) {
	if res.Bool("inner_elab_boot") && res.Text("inner_elab_role") == "node" || res.Bool("plab_boot") && res.Text("plab_role") == "node" {
		tftp = c.innerBoss(res)
		bootinfo = tftp
	}
	for s := range c.db.Where("subbosses", "node_id", node.Text("node_id")) {
		if s.Bool("disabled") {
			continue
		}
		for i := range c.where("interfaces", "node_id", s.Text("subboss_id"), "role", "ctrl") {
			switch {
			case s.Text("service") == "tftp" && tftp == "":
				tftp = i.Text("IP")
			case s.Text("service") == "bootinfo" && bootinfo == "":
				bootinfo = i.Text("IP")
			}
		}
	}
	return tftp, bootinfo
}

// innerBoss is the address of the boss, or of PLC, in the experiment of res.
func (c *call) innerBoss(res testbed.Row) string {
	for r := range c.where("reserved", "eid", res.Text("eid"), "pid", res.Text("pid")) {
		role := r.Text("inner_elab_role")
		boss := strings.EqualFold(role, "boss") || strings.EqualFold(role, "boss+router") || strings.EqualFold(role, "boss+fs+router")
		if !boss && !r.Is("plab_role", "plc") {
			continue
		}
		if i := control(c.db, r.Text("node_id")); !i.IsZero() {
			return i.Text("IP")
		}
	}
	return ""
}

// pxePath is the file that a node boots by PXE: its own, for the next time or
// always, else its attribute, else its type's; nil if none is given.
func (c *call) pxePath(node testbed.Row) *string {
	for _, column := range []string{"next_pxe_boot_path", "pxe_boot_path"} {
		if path := node.Text(column); path != "" {
			return &path
		}
	}
	attr := first(c.where("node_attributes", "node_id", node.Text("node_id"), "attrkey", "pxe_boot_path"))
	if attr.IsZero() {
		attr = first(c.where("node_type_attributes", "type", node.Text("type"), "attrkey", "pxe_boot_path"))
	}
	if attr.Value("attrvalue") == nil {
		return nil
	}
	path := attr.Text("attrvalue")
	return &path
}
