package testbed

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

func (x *expander) nodeRows() {
	for i := range x.d.hosts {
		x.hostRows(&x.d.hosts[i])
	}
	for i := range x.d.vnodes {
		x.vnodeRows(&x.d.vnodes[i])
	}
}

func (x *expander) hostRows(h *host) {
	role := "testnode"
	if h.control {
		role = "ctrlnode"
	}
	row := Columns{"node_id": h.id, "phys_nodeid": h.id, "role": role}
	x.commonColumns(&h.nodeCommon, row, "NORMALv2", "ISUP")
	x.db.insert("nodes", row)
	x.db.insert("node_hostkeys", Columns{"node_id": h.id})
	x.db.insert("interfaces", Columns{"node_id": h.id, "card": int64(0), "port": int64(1),
		"mac": orText(h.mac, macOf(h.ip, 0)), "IP": h.ip, "mask": orText(h.mask, x.d.site.ControlMask),
		"interface_type": h.card, "iface": "eth0", "role": "ctrl", "current_speed": "100", "duplex": "full",
		"uuid": "if-" + h.id + "-0"})
	for i, f := range h.interfaces {
		x.db.insert("interfaces", Columns{"node_id": h.id, "card": int64(i + 1), "port": int64(1),
			"mac": f.mac, "IP": f.ip, "mask": f.mask, "interface_type": f.kind, "iface": f.name, "role": f.role,
			"current_speed": f.speed, "duplex": f.duplex, "uuid": fmt.Sprintf("if-%s-%d", h.id, i+1)})
	}
	x.reserve(&h.nodeCommon)
	if h.remote {
		x.db.insert("widearea_nodeinfo", Columns{"node_id": h.id, "contact_uid": textOrNull(h.contact),
			"contact_idx": int64(x.who(h.line, "contact of "+h.id, h.contact)),
			"hostname":    textOrNull(h.hostname), "privkey": textOrNull(h.privkey), "IP": h.ip})
	}
}

func (x *expander) vnodeRows(v *vnode) {
	row := Columns{"node_id": v.id, "phys_nodeid": v.host, "role": "virtnode", "jailflag": number(v.jailed)}
	x.commonColumns(&v.nodeCommon, row, "PCVM", "SHUTDOWN")
	if v.sshd != 0 {
		row["sshdport"] = int64(v.sshd)
	}
	if v.jailIP != "" {
		row["jailip"], row["jailipmask"] = v.jailIP, orText(v.jailMask, x.d.site.JailMask)
	}
	if v.ports[2] != 0 {
		row["ipport_low"], row["ipport_next"], row["ipport_high"] = int64(v.ports[0]), int64(v.ports[1]), int64(v.ports[2])
	}
	x.db.insert("nodes", row)
	x.db.insert("node_hostkeys", Columns{"node_id": v.id})
	if v.jailMAC != "" {
		x.db.insert("interfaces", Columns{"node_id": v.id, "card": int64(0), "port": int64(1), "mac": v.jailMAC,
			"IP": v.jailIP, "mask": orText(v.jailMask, x.d.site.JailMask), "interface_type": "", "iface": "eth0",
			"role": "ctrl", "current_speed": "100", "duplex": "full", "uuid": "if-" + v.id + "-0"})
	}
	x.reserve(&v.nodeCommon)
}

func (x *expander) commonColumns(c *nodeCommon, row Columns, mode, state string) {
	row["type"] = c.typ
	row["uuid"] = orText(c.uuid, uuidOf("node", c.id))
	row["op_mode"] = orText(c.mode, mode)
	row["eventstate"] = orText(c.state, state)
	for col, v := range map[string]string{"startupcmd": c.startup, "routertype": orText(c.routing, x.routedBy(c)), "rpms": c.rpms,
		"tarballs": c.tarballs, "taint_states": c.taint, "nfsmounts": c.mounts} {
		if v != "" {
			row[col] = v
		}
	}
	for col, v := range map[string]int{"update_accounts": c.update, "def_boot_osid": c.os} {
		if v != 0 {
			row[col] = int64(v)
		}
	}
}

// routedBy is how a node gets its routes if its file doesn't say: those that it
// names there are made by hand.
func (x *expander) routedBy(c *nodeCommon) string {
	e := x.experiments[c.experiment]
	if e != nil && slices.ContainsFunc(e.routes, func(t route) bool { return t.node == c.name }) {
		return "manual"
	}
	return ""
}

// reserve notes that a node belongs to its experiment.
func (x *expander) reserve(c *nodeCommon) {
	e := x.experiments[c.experiment]
	if e == nil {
		return
	}
	row := Columns{"node_id": c.id, "pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx),
		"vname": textOrNull(c.name), "rsrv_time": longAgo}
	for col, v := range map[string]string{"erole": c.role, "sharing_mode": c.sharing, "external_resource_key": c.resKey} {
		if v != "" {
			row[col] = v
		}
	}
	x.db.insert("reserved", row)
	for _, a := range c.attributes {
		if c.name == "" {
			x.r.fail(c.line, "expected %s, which has attributes:, to have a name: too", c.id)
			break
		}
		x.db.insert("virt_node_attributes", Columns{"pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx),
			"vname": c.name, "attrkey": a.key, "attrvalue": text(a.value)})
	}
}

func (x *expander) lanRows() {
	for i := range x.d.experiments {
		e := &x.d.experiments[i]
		assign(e.lans, func(l *lan) *int { return &l.idx }, 1)
		ports := map[string]int{} // vname → virtual ports so far
		addrs := map[string]string{}
		for j := range e.lans {
			x.lan(e, &e.lans[j], ports, addrs)
		}
	}
}

func (x *expander) lan(e *experiment, l *lan, ports map[string]int, addrs map[string]string) {
	if l.kind != "none" {
		x.db.insert("virt_lan_lans", Columns{"pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx), "idx": int64(l.idx), "vname": l.name})
	}
	for _, m := range l.members {
		if m.ip == "" {
			x.r.fail(m.line, "expected the address of %s on %s, like %s: 10.1.1.2", m.node, l.name, m.node)
			continue
		}
		if other, dup := addrs[m.ip]; dup {
			x.r.fail(m.line, "expected %s to have an address of its own on %s, %s is that of %s", m.node, l.name, m.ip, other)
		}
		addrs[m.ip] = m.node
		if first := l.members[0]; !sameNet(first.ip, m.ip, l.mask) {
			x.r.fail(m.line, "expected the members of %s to be in one network of mask %s, %s and %s are not", l.name, l.mask, first.ip, m.ip)
		}
		ref, ok := x.members[e.pid+"/"+e.eid+"/"+m.node]
		if !ok {
			x.r.fail(m.line, "expected members of %s to be nodes of %s/%s, none has the name: %q", l.name, e.pid, e.eid, m.node)
			continue
		}
		port, mapped := ports[m.node]
		if !mapped { // what reaches other nodes by a LAN; one on none has no routes and no line among the hosts
			x.db.insert("v2pmap", Columns{"pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx), "vname": m.node, "node_id": ref.id})
		}
		ports[m.node]++
		row := Columns{"pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx), "vname": l.name, "vnode": m.node,
			"vport": int64(port), "vindex": int64(-1), "ip": m.ip, "mask": l.mask, "member": fmt.Sprintf("%s:%d", m.node, port)}
		maps.Copy(row, l.shape.columns())
		for _, a := range l.columns {
			row[a.key] = a.value
		}
		x.db.insert("virt_lans", row)
		if l.shape != nil && (ref.host == "" || l.kind == "none") {
			x.r.fail(l.shape.line, "expected the members of %s, which has shape:, to be vnodes on links, %s isn't", l.name, m.node)
		}
		if ref.host == "" || l.kind == "none" {
			continue
		}
		if l.shape != nil {
			e.shaped++
			x.db.insert("linkdelays", l.shape.linkDelay(e, l, m, ref.host, e.shaped))
		}
		x.units[ref.host]++
		x.db.insert("vinterfaces", Columns{"node_id": ref.host, "unit": int64(x.units[ref.host]), "mac": macOf(m.ip, 1),
			"IP": m.ip, "mask": l.mask, "type": l.kind, "iface": textOrNull(l.iface), "rtabid": int64(x.ordinal[ref.id]),
			"vnode_id": ref.id, "exptidx": int64(e.idx), "virtlanidx": int64(l.idx), "vlanid": int64(l.vlan)})
	}
}

// partRows are programs, traffic generators, routes, variables, blobs.
func (x *expander) partRows() {
	blobs := 0
	for i := range x.d.experiments {
		e := &x.d.experiments[i]
		base := func(more Columns) Columns {
			more["pid"], more["eid"], more["exptidx"] = e.pid, e.eid, int64(e.idx)
			return more
		}
		for _, p := range e.programs {
			x.wantNode(e, p.line, p.node, "program "+p.name)
			x.db.insert("virt_programs", base(Columns{"vnode": p.node, "vname": p.name, "command": p.command,
				"dir": p.dir, "timeout": p.timeout, "expected_exit_code": p.expect}))
		}
		x.trafficRows(e, base)
		for _, t := range e.routes {
			x.wantNode(e, t.line, t.node, "the route")
			x.db.insert("virt_routes", base(Columns{"vname": t.node, "src": t.src, "dst": t.to, "dst_type": t.kind,
				"dst_mask": t.mask, "nexthop": t.via, "cost": int64(t.cost)}))
		}
		for j, v := range e.environment {
			x.db.insert("virt_user_environment", base(Columns{"idx": int64(j + 1), "name": v.key, "value": v.value}))
		}
		for _, b := range e.blobs {
			blobs++
			x.db.insert("experiment_blobs", base(Columns{"idx": int64(orInt(b.idx, blobs)), "path": b.path, "action": b.action}))
		}
		x.scheduleEvents(e)
	}
	slices.SortStableFunc(x.db.Schedule, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
}

func (x *expander) trafficRows(e *experiment, base func(Columns) Columns) {
	byName := map[string]*traffic{}
	for i := range e.traffic {
		byName[e.traffic[i].name] = &e.traffic[i]
	}
	for i := range e.traffic {
		t := &e.traffic[i]
		x.wantNode(e, t.line, t.node, "traffic generator "+t.name)
		if peer := byName[t.to]; peer != nil {
			t.toNode, t.toIP = orText(t.toNode, peer.node), orText(t.toIP, peer.ip)
			t.toPort = orInt(t.toPort, peer.port)
		} else if t.toNode == "" || t.toPort == 0 {
			x.r.fail(t.line, "expected peer of %s to be a traffic generator of %s/%s, there is no %q (or give peer_node: and peer_port:)", t.name, e.pid, e.eid, t.to)
			continue
		}
		x.db.insert("virt_trafgens", base(Columns{"vnode": t.node, "vname": t.name, "role": t.role, "proto": t.proto,
			"port": int64(t.port), "ip": t.ip, "target_vnode": t.toNode, "target_vname": t.to,
			"target_port": int64(t.toPort), "target_ip": t.toIP, "generator": t.generator}))
	}
}

// scheduleEvents takes events over and checks that their objects exist.
func (x *expander) scheduleEvents(e *experiment) {
	objects := map[string]bool{}
	for _, t := range e.traffic {
		objects[t.name] = true
	}
	for _, p := range e.programs {
		objects[p.name] = true
	}
	for _, l := range e.lans {
		objects[l.name] = true
	}
	for _, g := range e.eventGroups {
		for _, m := range g.members {
			if !objects[m] {
				x.r.fail(g.line, "expected %s of %s/%s to have traffic generators, programs or LANs, there is no %q", g.name, e.pid, e.eid, m)
			}
			x.db.insert("event_groups", Columns{"pid": e.pid, "eid": e.eid, "exptidx": int64(e.idx), "group_name": g.name, "agent_name": m})
		}
	}
	for _, g := range e.eventGroups {
		objects[g.name] = true
	}
	for _, ev := range e.schedule {
		_, node := x.members[e.pid+"/"+e.eid+"/"+ev.Object]
		if !objects[ev.Object] && !node {
			x.r.fail(ev.line, "expected events of %s/%s to be for its traffic generators, programs, LANs or nodes, there is no %q", e.pid, e.eid, ev.Object)
		}
		ev.line = 0
		x.db.Schedule = append(x.db.Schedule, ev)
	}
}

func (x *expander) wantNode(e *experiment, line int, name, what string) {
	if _, ok := x.members[e.pid+"/"+e.eid+"/"+name]; !ok {
		x.r.fail(line, "expected %s to be on a node of %s/%s, none has the name: %q", what, e.pid, e.eid, name)
	}
}

func (x *expander) siteVarRows() {
	for _, v := range siteVariables() {
		x.db.insert("sitevariables", Columns{"name": v.name, "defaultvalue": v.value})
	}
	x.mergeRows(rawTable{name: "sitevariables", rows: x.d.siteVars})
}
