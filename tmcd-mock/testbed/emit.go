package testbed

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// emit writes the document's own sections; rows: and tables: come after.
func (d *doc) emit(b *strings.Builder) {
	section := func(key string, m mapping) {
		if len(m) > 0 {
			b.WriteString("\n" + key + ":\n")
			writeBlock(b, m, 2)
		}
	}
	if d.site.Web != "" {
		b.WriteString("\nweb: " + yamlString(d.site.Web) + "\n")
	}
	section("site", d.site.emit())
	section("projects", d.emitProjects())
	section("groups", d.emitGroups())
	section("users", d.emitUsers())
	section("types", d.emitTypes())
	section("experiments", d.emitExperiments())
	var m mapping
	for i := range d.hosts {
		m = append(m, pair{d.hosts[i].id, d.hosts[i].emit()})
	}
	section("hosts", m)
	m = nil
	for i := range d.vnodes {
		m = append(m, pair{d.vnodes[i].id, d.vnodes[i].emit()})
	}
	section("vnodes", m)
	m = nil
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		m = append(m, pair{path, mapping{{"base64", base64.StdEncoding.EncodeToString(d.files[path])}}})
	}
	section("files", m)
	for _, s := range []Section{d.faults, d.timeline} {
		if s.Text != "" {
			b.WriteString("\n" + s.Text)
		}
	}
}

// emit gives the settings that are not the usual ones.
func (s *Site) emit() mapping {
	usual := defaultSite()
	ref := usual.fields()
	var m mapping
	for i, f := range s.fields() {
		switch {
		case f.text != nil && *f.text != *ref[i].text:
			m = append(m, pair{f.key, *f.text})
		case f.flag != nil && *f.flag != *ref[i].flag:
			m = append(m, pair{f.key, *f.flag})
		case f.dirs != nil && *f.dirs != *ref[i].dirs:
			dirs := mapping{}
			for _, df := range f.dirs.fields() {
				dirs = append(dirs, pair{df.key, *df.text})
			}
			m = append(m, pair{f.key, dirs})
		}
	}
	if len(s.Other) > 0 {
		m = append(m, pair{"other", columnMapping(s.Other, nil)})
	}
	return m
}

func (d *doc) emitProjects() mapping {
	var m mapping
	for _, p := range d.projects {
		var v mapping
		v.set("name", p.name)
		v.set("head", p.head)
		v.set("gid", p.gid)
		v.set("idx", p.idx)
		v.set("nonlocal", p.nonlocal)
		m = append(m, pair{p.pid, v})
	}
	return m
}

// emitGroups leaves out what a project implies; indexes keep the order.
func (d *doc) emitGroups() mapping {
	var m mapping
	for _, g := range d.groups {
		var v mapping
		v.set("gid", g.unixGID)
		if g.unixName != g.gid {
			v.set("unix_name", g.unixName)
		}
		v.set("leader", g.leader)
		v.set("idx", g.idx)
		m = append(m, pair{g.pid + "/" + g.gid, v})
	}
	return m
}

func (d *doc) emitUsers() mapping {
	var m mapping
	for _, u := range d.users {
		var v mapping
		v.set("name", u.name)
		v.set("email", u.email)
		v.set("uid", u.unixUID)
		if u.idx != u.unixUID {
			v.set("idx", u.idx)
		}
		v.set("password", u.password)
		v.set("windows_password", u.windows)
		v.set("shell", u.shell)
		if u.status != "active" {
			v.set("status", u.status)
		}
		v.set("admin", u.admin)
		v.set("web_only", u.webOnly)
		v.set("remote_root", u.remoteRoot)
		v.set("remote_jail_root", u.jailRoot)
		v.set("modified", u.modified)
		v.set("emulab_pubkey", u.emulabKey)
		var keys list
		for _, k := range u.keys {
			keys = append(keys, k)
		}
		v.set("keys", keys)
		var groups mapping
		for _, g := range u.groups {
			name := g.pid
			if g.gid != g.pid {
				name += "/" + g.gid
			}
			groups = append(groups, pair{name, g.trust})
		}
		v.set("groups", groups)
		m = append(m, pair{u.uid, v})
	}
	return m
}

func (d *doc) emitTypes() mapping {
	var m mapping
	for _, t := range d.types {
		var v mapping
		v.set("class", t.class)
		v.set("virtual", t.virtual)
		v.set("jailed", t.jailed)
		v.set("dynamic", t.dynamic)
		v.set("remote", t.remote)
		v.set("subnode", t.subnode)
		v.set("attributes", attributeMapping(t.attributes))
		m = append(m, pair{t.name, v})
	}
	return m
}

func attributeMapping(list []attribute) mapping {
	var m mapping
	for _, a := range list {
		m = append(m, pair{a.key, a.value})
	}
	return m
}

// columnMapping gives the columns named first, then the others by name.
func columnMapping(c Columns, first []string) mapping {
	var m mapping
	for _, k := range first {
		if v, ok := c[k]; ok {
			m = append(m, pair{k, v})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c)) {
		if !slices.Contains(first, k) {
			m = append(m, pair{k, c[k]})
		}
	}
	return m
}

func (c *nodeCommon) emit(m *mapping, uuid, mode, state string) {
	m.set("experiment", c.experiment)
	m.set("name", c.name)
	m.set("type", c.typ)
	m.set("role", c.role)
	m.set("sharing", c.sharing)
	m.set("external_key", c.resKey)
	if c.uuid != uuid {
		m.set("uuid", c.uuid)
	}
	if c.mode != mode {
		m.set("mode", c.mode)
	}
	if c.state != state {
		m.set("state", c.state)
	}
	m.set("os", c.os)
	m.set("routing", c.routing)
	m.set("update", c.update)
	m.set("mounts", c.mounts)
	m.set("taint", c.taint)
	m.set("startup", c.startup)
	m.set("rpms", splitList(c.rpms))
	m.set("tarballs", splitList(c.tarballs))
	m.set("attributes", attributeMapping(c.attributes))
}

func splitList(s string) list {
	if s == "" {
		return nil
	}
	var l list
	for part := range strings.SplitSeq(s, ":") {
		l = append(l, part)
	}
	return l
}

func (h *host) emit() mapping {
	var m mapping
	m.set("ip", h.ip)
	m.set("mask", h.mask)
	if !autoMAC(h.mac, h.ip, 0) {
		m.set("mac", h.mac)
	}
	m.set("card", h.card)
	m.set("control", h.control)
	m.set("remote", h.remote)
	m.set("privkey", h.privkey)
	m.set("contact", h.contact)
	m.set("hostname", h.hostname)
	h.nodeCommon.emit(&m, uuidOf("node", h.id), "NORMALv2", "ISUP")
	var ifaces mapping
	for _, i := range h.interfaces {
		var v mapping
		if i.ip != nil {
			v = append(v, pair{"ip", i.ip})
		}
		if i.mask != nil {
			v = append(v, pair{"mask", i.mask})
		}
		mac, _ := i.mac.(string)
		v.set("mac", mac)
		v.set("type", i.kind)
		if i.role != "expt" {
			v.set("role", i.role)
		}
		if i.speed != "100" {
			v.set("speed", i.speed)
		}
		if i.duplex != "full" {
			v.set("duplex", i.duplex)
		}
		ifaces = append(ifaces, pair{i.name, v})
	}
	m.set("interfaces", ifaces)
	return m
}

func (v *vnode) emit() mapping {
	var m mapping
	m.set("host", v.host)
	v.nodeCommon.emit(&m, uuidOf("node", v.id), "PCVM", "SHUTDOWN")
	if !v.jailed {
		m = append(m, pair{"jailed", false})
	}
	m.set("sshdport", v.sshd)
	if v.ports[2] != 0 {
		m = append(m, pair{"ports", list{v.ports[0], v.ports[2]}})
	}
	var jail mapping
	jail.set("ip", v.jailIP)
	jail.set("mask", v.jailMask)
	jail.set("mac", v.jailMAC)
	m.set("jail", jail)
	return m
}
