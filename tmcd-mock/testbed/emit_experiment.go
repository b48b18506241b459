package testbed

import (
	"slices"
	"strconv"
)

func (d *doc) emitExperiments() mapping {
	var m mapping
	for i := range d.experiments {
		e := &d.experiments[i]
		m = append(m, pair{e.pid + "/" + e.eid, e.emit()})
	}
	return m
}

func (e *experiment) emit() mapping {
	var m mapping
	m.set("idx", e.idx)
	if e.gid != e.pid {
		m.set("group", e.gid)
	}
	m.set("creator", e.creator)
	m.set("swapper", e.swapper)
	m.set("sync_server", e.syncServer)
	m.set("keyhash", e.keyHash)
	m.set("eventkey", e.eventKey)
	m.set("mounts", e.mounts)
	if e.ports[1] != 0 {
		m = append(m, pair{"ports", list{e.ports[0], e.ports[1]}})
	}
	m.set("environment", attributeMapping(e.environment))
	m.set("lans", e.emitLANs())
	var programs mapping
	for _, p := range e.programs {
		v := mapping{{"node", p.node}, {"command", p.command}}
		for _, f := range []pair{{"dir", p.dir}, {"timeout", p.timeout}, {"expect", p.expect}} {
			if f.val != nil {
				v = append(v, f)
			}
		}
		programs = append(programs, pair{p.name, v})
	}
	m.set("programs", programs)
	m.set("traffic", e.emitTraffic())
	m.set("routes", e.emitRoutes())
	var blobs list
	for _, b := range e.blobs {
		blobs = append(blobs, mapping{{"path", b.path}, {"action", b.action}, {"idx", b.idx}})
	}
	m.set("blobs", blobs)
	m.set("schedule", e.emitSchedule())
	return m
}

func (e *experiment) emitLANs() mapping {
	var m mapping
	for _, l := range e.lans {
		var v mapping
		v.set("idx", l.idx)
		v.set("mask", l.mask)
		if l.kind != "veth" {
			v.set("kind", l.kind)
		}
		v.set("iface", l.iface)
		v.set("vlan", l.vlan)
		v.set("columns", attributeMapping(l.columns))
		var members mapping
		for _, mem := range l.members {
			members = append(members, pair{mem.node, mem.ip})
		}
		v.set("members", members)
		m = append(m, pair{l.name, v})
	}
	return m
}

func (e *experiment) emitTraffic() mapping {
	ends := map[string]traffic{}
	for _, t := range e.traffic {
		ends[t.name] = t
	}
	var m mapping
	for _, t := range e.traffic {
		v := mapping{{"node", t.node}, {"role", t.role}, {"proto", t.proto}}
		v.set("ip", t.ip)
		v.set("port", t.port)
		v.set("peer", t.to)
		peer := ends[t.to]
		if t.toNode != peer.node {
			v.set("peer_node", t.toNode)
		}
		if t.toIP != peer.ip {
			v.set("peer_ip", t.toIP)
		}
		if t.toPort != peer.port {
			v.set("peer_port", t.toPort)
		}
		if t.generator != "TG" {
			v.set("generator", t.generator)
		}
		m = append(m, pair{t.name, v})
	}
	return m
}

func (e *experiment) emitRoutes() mapping {
	var m mapping
	for _, t := range e.routes {
		bits := prefixLen(t.mask)
		to := t.to
		if t.kind == "net" || bits != 32 {
			to += "/" + strconv.Itoa(bits)
		}
		v := mapping{{"to", to}}
		if t.kind == "host" && bits != 32 {
			v.set("kind", t.kind)
		}
		v.set("via", t.via)
		v.set("src", t.src)
		v.set("cost", t.cost)
		if i := slices.IndexFunc(m, func(p pair) bool { return p.key == t.node }); i >= 0 {
			m[i].val = append(m[i].val.(list), v)
		} else {
			m = append(m, pair{t.node, list{v}})
		}
	}
	return m
}

func (e *experiment) emitSchedule() list {
	var l list
	for _, ev := range e.schedule {
		v := mapping{{"at", ev.At.String()}, {"object", ev.Object}, {"action", ev.Action}}
		var args mapping
		for _, a := range ev.Args {
			args = append(args, pair{a.Key, a.Value})
		}
		v.set("args", args)
		l = append(l, v)
	}
	return l
}
