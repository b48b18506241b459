package testbed

import (
	"slices"
	"strings"

	"emujail/protocol"
)

func (z *recognizer) nodeLists() {
	addrs := map[string]bool{}
	for r := range z.db.Rows("nodes") {
		id := r.Text("node_id")
		if !nameOK(id, "", protocol.MaxNodeID) || z.hosts[id] || r.Text("phys_nodeid") != id || !z.knownType(r) {
			continue
		}
		ctrl := z.control(id)
		if ip := ctrl.Text("IP"); !isIPv4(ip) || addrs[ip] {
			continue
		}
		addrs[ctrl.Text("IP")] = true
		z.host(id, r, ctrl)
	}
	seen := map[string]bool{}
	for r := range z.db.Rows("nodes") {
		id := r.Text("node_id")
		if nameOK(id, "", protocol.MaxNodeID) && !z.hosts[id] && !seen[id] && z.hosts[r.Text("phys_nodeid")] && z.knownType(r) {
			seen[id] = true
			z.vnode(id, r, addrs)
		}
	}
}

func (z *recognizer) knownType(r Row) bool {
	return slices.ContainsFunc(z.d.types, func(t nodeType) bool { return t.name == r.Text("type") })
}

func (z *recognizer) control(id string) Row {
	for i := range z.db.Where("interfaces", "node_id", id) {
		if i.Is("role", "ctrl") {
			return i
		}
	}
	return Row{}
}

func (z *recognizer) host(id string, r, ctrl Row) {
	z.hosts[id] = true
	h := host{nodeCommon: z.common(id, "", r), ip: ctrl.Text("IP"), mask: ctrl.Text("mask"), mac: ctrl.Text("mac"),
		card: ctrl.Text("interface_type"), control: r.Is("role", "ctrlnode")}
	if w := z.db.First("widearea_nodeinfo", "node_id", id); !w.IsZero() {
		h.remote = true
		h.privkey, h.hostname = w.Text("privkey"), w.Text("hostname")
		if z.users[w.Text("contact_uid")] {
			h.contact = w.Text("contact_uid")
		}
		if n := len(h.privkey); n < 16 || n > 128 || strings.Trim(strings.ToLower(h.privkey), "0123456789abcdef") != "" {
			h.privkey = ""
		}
	}
	seen := map[string]bool{"eth0": true}
	for i := range z.db.Where("interfaces", "node_id", id) {
		name := i.Text("iface")
		if i.Is("role", "ctrl") || seen[name] || i.Has("IP") && !isIPv4(i.Text("IP")) {
			continue
		}
		seen[name] = true
		h.interfaces = append(h.interfaces, iface{name: name, ip: i.Value("IP"), mask: i.Value("mask"), mac: i.Text("mac"),
			kind: i.Text("interface_type"), role: i.Text("role"), speed: i.Text("current_speed"), duplex: i.Text("duplex")})
	}
	z.d.hosts = append(z.d.hosts, h)
}

func (z *recognizer) vnode(id string, r Row, addrs map[string]bool) {
	v := vnode{nodeCommon: z.common(id, r.Text("phys_nodeid"), r), host: r.Text("phys_nodeid"), jailed: r.Bool("jailflag")}
	if p := r.Int("sshdport"); r.columns["sshdport"] != nil && p >= 1 && p <= 65535 {
		v.sshd = p
	}
	if low, high := r.Int("ipport_low"), r.Int("ipport_high"); low >= 1 && low <= high && high <= 65535 {
		v.ports = [3]int{low, low, high}
	}
	if ip := r.Text("jailip"); isIPv4(ip) && !addrs[ip] {
		addrs[ip] = true
		v.jailIP, v.jailMask = ip, r.Text("jailipmask")
		if c := z.control(id); c.Is("IP", ip) && len(c.Text("mac")) == 12 {
			v.jailMAC = c.Text("mac")
		}
	}
	z.d.vnodes = append(z.d.vnodes, v)
}

func (z *recognizer) common(id, host string, r Row) nodeCommon {
	c := nodeCommon{id: id, typ: r.Text("type"), uuid: r.Text("uuid"), mode: r.Text("op_mode"), state: r.Text("eventstate"),
		startup: r.Text("startupcmd"), rpms: r.Text("rpms"), tarballs: r.Text("tarballs"), taint: r.Text("taint_states"),
		update: r.Int("update_accounts"), os: r.Int("def_boot_osid")}
	if m := r.Text("nfsmounts"); slices.Contains([]string{"emulabdefault", "all", "genidefault", "none"}, m) {
		c.mounts = m
	}
	if t, ok := r.columns["routertype"].(string); ok && slices.Contains([]string{"none", "ospf", "static", "manual", "static-ddijk", "static-old"}, t) {
		c.routing = t
	}
	res := z.db.First("reserved", "node_id", id)
	expt := z.expts[res.Text("exptidx")]
	if expt == "" || expt != res.Text("pid")+"/"+res.Text("eid") {
		return c
	}
	c.experiment = expt
	name := res.Text("vname")
	if _, taken := z.names[expt+"/"+name]; nameOK(name, "", 32) && !taken {
		c.name = name
		z.names[expt+"/"+name] = nodeRef{id, host}
	}
	c.sharing, c.resKey = res.Text("sharing_mode"), res.Text("external_resource_key")
	if role, ok := res.columns["erole"].(string); ok && slices.Contains([]string{"node", "virthost", "sharedhost", "delaynode", "subboss", "storagehost", "simhost"}, role) {
		c.role = role
	}
	if c.name != "" {
		for a := range z.db.inserted("virt_node_attributes", "exptidx", res.Text("exptidx")) {
			if a.Is("vname", c.name) {
				c.attributes = append(c.attributes, attribute{a.Text("attrkey"), a.Text("attrvalue")})
			}
		}
	}
	return c
}
