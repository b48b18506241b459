package answer

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// Testbeds within an experiment: an Emulab (emulabconfig) or a PlanetLab
// (eplabconfig) of its own.

// inner is a node with a part in the inner Emulab, by one of its addresses.
type inner struct{ id, role, ip, vname string }

// emulabConfig says who the inner boss, ops and file server are, and with
// which software.
func (c *call) emulabConfig() {
	if !c.who.expt.Bool("elab_in_elab") {
		return
	}
	nodes := c.innerNodes()
	if len(nodes) == 0 {
		return
	}
	role := ""
	if i := slices.IndexFunc(nodes, func(n inner) bool { return n.id == c.who.called }); i >= 0 {
		role = nodes[i].role
		c.linef("ROLE=%s", role)
	}
	for _, n := range nodes {
		if tag := innerServer(n.role); tag != "" {
			c.linef("%sNODE=%s", tag, n.vname)
			c.linef("%sIP=%s", tag, n.ip)
		}
	}
	c.innerSoftware()
	if tag := c.who.expt.Text("elabinelab_cvstag"); tag != "" {
		c.linef("CVSSRCTAG=%s", tag)
	}
	single := 0
	if c.singleNet() {
		single = 1
	}
	c.linef("SINGLE_CONTROLNET=%d", single)
	c.innerAttributes(role)
}

func innerServer(role string) string {
	switch role {
	case "boss", "boss+router", "boss+fs+router":
		return "BOSS"
	case "ops", "ops+fs":
		return "OPS"
	case "fs":
		return "FS"
	}
	return ""
}

// singleNet: the inner Emulab's control network is the outer one.
func (c *call) singleNet() bool { return c.who.expt.Bool("elabinelab_singlenet") }

func (c *call) innerNodes() []inner {
	var list []inner
	for r := range c.ofExperiment("reserved") {
		if r.Value("inner_elab_role") == nil {
			continue
		}
		for _, ip := range c.innerAddrs(r) {
			list = append(list, inner{r.Text("node_id"), r.Text("inner_elab_role"), ip, r.Text("vname")})
		}
	}
	return list
}

// innerAddrs are the addresses of a node on the inner control network: without
// one of its own, the node's control address, else all that it has on LANs.
func (c *call) innerAddrs(r testbed.Row) []string {
	if !c.singleNet() {
		return texts(orNone(c.ofExperiment("virt_lans", "vnode", r.Text("vname"))), "ip")
	}
	var ips []string
	for _, i := range orNone(c.where("interfaces", "node_id", r.Text("node_id"), "role", "ctrl")) {
		ip := i.Text("IP")
		if c.who.vnode && i.Value("IP") == nil {
			ip = c.db.First("nodes", "node_id", r.Text("node_id")).Text("jailip")
		}
		ips = append(ips, ip)
	}
	return ips
}

// innerSoftware: the site's variables, by name. A site without them has those
// that Emulab comes with.
func (c *call) innerSoftware() {
	keys := map[string]string{"boss_pkg_dir": "BOSS_PKG_DIR", "boss_pkg": "BOSS_PKG", "ops_pkg_dir": "OPS_PKG_DIR",
		"ops_pkg": "OPS_PKG", "fs_pkg_dir": "FS_PKG_DIR", "fs_pkg": "FS_PKG", "windows": "WINSUPPORT"}
	var lines [][2]string
	for v := range c.db.Rows("sitevariables") {
		if name, ok := strings.CutPrefix(v.Text("name"), "elabinelab/"); ok && keys[name] != "" {
			lines = append(lines, [2]string{name, v.Text("value")})
		}
	}
	if lines == nil {
		lines = [][2]string{{"boss_pkg", ""}, {"boss_pkg_dir", ""}, {"ops_pkg", ""}, {"ops_pkg_dir", ""}, {"windows", "1"}}
	}
	slices.SortStableFunc(lines, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	for _, l := range lines {
		c.linef("%s=%s", keys[l[0]], l[1])
	}
}

// innerAttributes are those of the node's role; a role such as ops+fs is two.
func (c *call) innerAttributes(role string) {
	roles := []string{role}
	if strings.Contains(role, "+") {
		roles = slices.DeleteFunc([]string{"boss", "ops", "fs", "router"}, func(r string) bool { return !strings.Contains(role, r) })
	}
	for _, a := range sorted(c.db.Where("elabinelab_attributes", "exptidx", c.who.exptidx), "ordering") {
		has := slices.ContainsFunc(roles, func(r string) bool { return a.Is("role", r) })
		if has && a.Has("attrkey") && a.Value("attrvalue") != nil {
			c.linef(`%s="%s"`, a.Text("attrkey"), a.Text("attrvalue"))
		}
	}
}

// innerPlabConfig tells the PLC node of an inner PlanetLab about all the others.
func (c *call) innerPlabConfig() {
	plc := first(c.ofExperiment("reserved", "plab_role", "plc"))
	if plc.IsZero() || plc.Text("node_id") != c.who.called {
		return
	}
	c.plabNodes()
	c.plabInterfaces()
	c.plabNetworks()
}

// plabNodes: the PLC node comes first, and again in its place unless its name
// is plc.
func (c *call) plabNodes() {
	var lines []string
	plc := -1
	for r := range c.ofExperiment("reserved") {
		for i := range c.where("interfaces", "node_id", r.Text("node_id"), "role", "ctrl") {
			line := "VNAME=" + r.Text("vname") + " PNAME=" + r.Text("node_id") + "." + c.site.Domain + " ROLE=" + r.Text("plab_role") +
				" CNETIP=" + i.Text("IP") + " CNETMAC=" + i.Text("mac")
			if plc < 0 && r.Text("plab_role") == "plc" {
				plc = len(lines)
				c.linef("%s", line)
			}
			if r.Text("vname") == "plc" {
				line = ""
			}
			lines = append(lines, line)
		}
	}
	for _, line := range lines {
		if line != "" {
			c.linef("%s", line)
		}
	}
}

// plabInterfaces are the experimental interfaces of PlanetLab's nodes.
func (c *call) plabInterfaces() {
	for p := range c.plabPorts() {
		if p.iface.Is("role", "expt") {
			c.linef("VNAME=%s IP=%s NETMASK=%s MAC=%s", p.lan.Text("vnode"), p.iface.Text("IP"), p.iface.Text("mask"), p.iface.Text("mac"))
		}
	}
}

// plabNetworks: on which LAN nodes that don't use the control network meet PLC.
func (c *call) plabNetworks() {
	for p := range c.plabPorts() {
		for v := range c.where("virt_nodes", "exptidx", c.who.exptidx, "plab_plcnet", p.lan.Text("vname"), "vname", p.node.Text("vname")) {
			if !v.Is("plab_plcnet", "none") && !v.Is("plab_plcnet", "control") {
				c.linef("VNAME=%s PNAME=%s.%s PLCNETWORK=%s ROLE=%s IP=%s NETMASK=%s MAC=%s", p.lan.Text("vnode"), p.node.Text("node_id"),
					c.site.Domain, v.Text("plab_plcnet"), v.Text("plab_role"), p.iface.Text("IP"), p.iface.Text("mask"), p.iface.Text("mac"))
			}
		}
	}
}

// plabPort is a node's interface on a LAN.
type plabPort struct{ node, lan, iface testbed.Row }

func (c *call) plabPorts() iter.Seq[plabPort] {
	return func(yield func(plabPort) bool) {
		for r := range c.ofExperiment("reserved") {
			if r.Is("plab_role", "none") || r.Value("plab_role") == nil {
				continue
			}
			for l := range c.ofExperiment("virt_lans") {
				for i := range c.where("interfaces", "node_id", r.Text("node_id"), "IP", l.Text("ip")) {
					if i.Has("IP") && !yield(plabPort{r, l, i}) {
						return
					}
				}
			}
		}
	}
}
