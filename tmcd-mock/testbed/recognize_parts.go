package testbed

import (
	"net/netip"
	"slices"
	"strconv"
)

// partLists are LANs, programs, traffic generators, routes, variables, blobs.
func (z *recognizer) partLists() {
	for i := range z.d.experiments {
		e := &z.d.experiments[i]
		idx := strconv.Itoa(e.idx)
		for r := range z.db.Where("virt_lans", "exptidx", idx) {
			z.lanMember(e, r)
		}
		e.lans = slices.DeleteFunc(e.lans, func(l lan) bool { return len(l.members) == 0 })
		for j := range e.lans {
			z.lanLinks(e, &e.lans[j])
		}
		z.programs(e, idx)
		z.traffic(e, idx)
		for r := range z.db.Where("virt_routes", "exptidx", idx) {
			z.route(e, r)
		}
		z.environment(e, idx)
		for r := range z.db.Where("experiment_blobs", "exptidx", idx) {
			if r.Has("path") {
				e.blobs = append(e.blobs, blob{r.Int("idx"), r.Text("path"), r.Text("action")})
			}
		}
	}
}

func (z *recognizer) member(e *experiment, name string) (nodeRef, bool) {
	ref, ok := z.names[e.pid+"/"+e.eid+"/"+name]
	return ref, ok
}

func (z *recognizer) lanMember(e *experiment, r Row) {
	name, node, ip := r.Text("vname"), r.Text("vnode"), r.Text("ip")
	if _, ok := z.member(e, node); !ok || !nameOK(name, "", 32) || !isIPv4(ip) || !isIPv4(r.Text("mask")) {
		return
	}
	i := slices.IndexFunc(e.lans, func(l lan) bool { return l.name == name })
	if i < 0 {
		e.lans = append(e.lans, lan{name: name, mask: r.Text("mask"), kind: "none"})
		i = len(e.lans) - 1
		for _, col := range lanColumns() {
			if v, ok := r.columns[col]; ok && v != nil {
				e.lans[i].columns = append(e.lans[i].columns, attribute{col, v})
			}
		}
	}
	l := &e.lans[i]
	twice := slices.ContainsFunc(l.members, func(m member) bool { return m.node == node || m.ip == ip })
	if !twice && l.mask == r.Text("mask") && (len(l.members) == 0 || sameNet(l.members[0].ip, ip, l.mask)) {
		l.members = append(l.members, member{0, node, ip})
	}
}

// lanLinks finds how the hosts build a LAN.
func (z *recognizer) lanLinks(e *experiment, l *lan) {
	for r := range z.db.Where("virt_lan_lans", "exptidx", strconv.Itoa(e.idx)) {
		if r.Is("vname", l.name) {
			l.idx = r.Int("idx")
		}
	}
	if l.idx == 0 {
		return
	}
	for _, m := range l.members {
		ref, _ := z.member(e, m.node)
		for v := range z.db.Where("vinterfaces", "vnode_id", ref.id) {
			kind := v.Text("type")
			if v.Is("IP", m.ip) && (kind == "veth" || kind == "veth-ne" || kind == "vlan") {
				l.kind, l.iface, l.vlan = kind, v.Text("iface"), v.Int("vlanid")
			}
		}
	}
}

func (z *recognizer) programs(e *experiment, idx string) {
	for r := range z.db.Where("virt_programs", "exptidx", idx) {
		name := r.Text("vname")
		_, ok := z.member(e, r.Text("vnode"))
		if !ok || name == "" || !r.Has("command") || slices.ContainsFunc(e.programs, func(p program) bool { return p.name == name }) {
			continue
		}
		e.programs = append(e.programs, program{name: name, node: r.Text("vnode"), command: r.Text("command"), dir: r.Value("dir"),
			timeout: r.Value("timeout"), expect: r.Value("expected_exit_code")})
	}
}

func (z *recognizer) traffic(e *experiment, idx string) {
	for r := range z.db.Where("virt_trafgens", "exptidx", idx) {
		t := traffic{name: r.Text("vname"), node: r.Text("vnode"), role: r.Text("role"), proto: r.Text("proto"), ip: r.Text("ip"),
			port: r.Int("port"), to: r.Text("target_vname"), toNode: r.Text("target_vnode"), toIP: r.Text("target_ip"),
			toPort: r.Int("target_port"), generator: r.Text("generator")}
		_, ok := z.member(e, t.node)
		valid := ok && t.name != "" && (t.role == "source" || t.role == "sink") && (t.proto == "udp" || t.proto == "tcp") &&
			portOK(t.port) && portOK(t.toPort) && t.to != "" && t.toNode != ""
		if valid && !slices.ContainsFunc(e.traffic, func(o traffic) bool { return o.name == t.name }) {
			e.traffic = append(e.traffic, t)
		}
	}
}

func portOK(p int) bool { return p >= 1 && p <= 65535 }

func (z *recognizer) route(e *experiment, r Row) {
	t := route{node: r.Text("vname"), to: r.Text("dst"), mask: r.Text("dst_mask"), kind: r.Text("dst_type"), via: r.Text("nexthop"),
		src: r.Text("src"), cost: r.Int("cost")}
	_, ok := z.member(e, t.node)
	if ok && isIPv4(t.to) && isIPv4(t.via) && prefixLen(t.mask) >= 0 && (t.kind == "host" || t.kind == "net") {
		e.routes = append(e.routes, t)
	}
}

// prefixLen is the length of a mask, -1 if it isn't one.
func prefixLen(mask string) int {
	for bits := 0; bits <= 32; bits++ {
		if maskOf(bits) == mask {
			return bits
		}
	}
	return -1
}

func (z *recognizer) environment(e *experiment, idx string) {
	for r := range z.db.Where("virt_user_environment", "exptidx", idx) {
		name := r.Text("name")
		if name == "" || slices.ContainsFunc(e.environment, func(a attribute) bool { return a.key == name }) {
			return // the rest would get other places
		}
		e.environment = append(e.environment, attribute{name, r.Text("value")})
	}
}

// autoMAC reports whether a MAC address is the one that expand would give.
func autoMAC(mac, ip string, last byte) bool {
	_, err := netip.ParseAddr(ip)
	return err == nil && mac == macOf(ip, last)
}
