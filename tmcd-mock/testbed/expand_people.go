package testbed

import "strings"

// longAgo is the time of what has none in the file.
const longAgo = "2016-06-01 00:00:00"

func (x *expander) projectRows() {
	for i := range x.d.projects {
		p := &x.d.projects[i]
		g := x.groups[p.pid+"/"+p.pid]
		row := Columns{"pid": p.pid, "pid_idx": int64(p.idx), "name": orText(p.name, p.pid),
			"head_uid": textOrNull(p.head), "head_idx": int64(x.who(p.line, "head of "+p.pid, p.head)),
			"unix_gid": int64(g.unixGID), "approved": int64(1)}
		if p.nonlocal != "" {
			row["nonlocal_id"] = p.nonlocal
		}
		x.db.insert("projects", row)
	}
	for i := range x.d.groups {
		g := &x.d.groups[i]
		p := x.projects[g.pid]
		if p == nil {
			continue
		}
		x.db.insert("groups", Columns{"pid": g.pid, "gid": g.gid, "pid_idx": int64(p.idx), "gid_idx": int64(g.idx),
			"gid_uuid": "gid-" + text(int64(g.idx)), "leader": textOrNull(orText(g.leader, p.head)),
			"leader_idx": int64(x.who(g.line, "leader of "+g.pid+"/"+g.gid, orText(g.leader, p.head))),
			"unix_gid":   int64(g.unixGID), "unix_name": orText(g.unixName, g.gid)})
	}
}

func (x *expander) userRows() {
	for i := range x.d.users {
		u := &x.d.users[i]
		x.db.insert("users", Columns{"uid": u.uid, "uid_idx": int64(u.idx), "uid_uuid": "uuid-" + u.uid,
			"usr_name": orText(u.name, u.uid), "usr_email": orText(u.email, u.uid+"@"+x.d.site.Domain),
			"usr_pswd": orText(u.password, "*"), "usr_w_pswd": textOrNull(u.windows), "unix_uid": int64(u.unixUID),
			"status": orText(u.status, "active"), "admin": number(u.admin), "webonly": number(u.webOnly),
			"usr_shell": orText(u.shell, "bash"), "widearearoot": number(u.remoteRoot),
			"wideareajailroot": number(u.jailRoot), "usr_modified": orText(u.modified, longAgo),
			"emulab_pubkey": textOrNull(u.emulabKey)})
		for _, m := range u.groups {
			g := x.groups[m.pid+"/"+m.gid]
			if g == nil || x.projects[m.pid] == nil {
				x.r.fail(m.line, "expected user %s to be in groups that exist, there is no %s/%s", u.uid, m.pid, m.gid)
				continue
			}
			x.db.insert("group_membership", Columns{"uid": u.uid, "gid": m.gid, "pid": m.pid, "uid_idx": int64(u.idx),
				"pid_idx": int64(x.projects[m.pid].idx), "gid_idx": int64(g.idx), "trust": m.trust})
		}
		for j, key := range u.keys {
			x.db.insert("user_pubkeys", Columns{"uid": u.uid, "uid_idx": int64(u.idx), "idx": int64(j + 1),
				"pubkey": key, "comment": keyComment(key)})
		}
	}
}

// keyComment is what follows kind and key in a line of authorized_keys.
func keyComment(key string) any {
	if f := strings.Fields(key); len(f) > 2 {
		return strings.Join(f[2:], " ")
	}
	return nil
}

func (x *expander) typeRows() {
	x.addUsedTypes()
	for i := range x.d.types {
		t := &x.d.types[i]
		row := Columns{"class": t.class, "type": t.name}
		for col, on := range map[string]bool{"isvirtnode": t.virtual, "isjailed": t.jailed, "isdynamic": t.dynamic,
			"isremotenode": t.remote, "issubnode": t.subnode} {
			if on {
				row[col] = int64(1)
			}
		}
		x.db.insert("node_types", row)
		for _, a := range t.attributes {
			kind := "string"
			switch a.value.(type) {
			case int64:
				kind = "integer"
			case float64:
				kind = "float"
			}
			x.db.insert("node_type_attributes", Columns{"type": t.name, "attrkey": a.key,
				"attrvalue": text(a.value), "attrtype": kind})
		}
	}
}

// addUsedTypes adds the usual types that nodes have but the file doesn't
// describe: pc, pcvm, pcwa, pcvwa. Any other type must be in types:.
func (x *expander) addUsedTypes() {
	usual := []nodeType{
		{name: "pc", class: "pc"},
		{name: "pcvm", class: "pcvm", virtual: true, jailed: true, dynamic: true},
		{name: "pcwa", class: "pcwa", remote: true},
		{name: "pcvwa", class: "pcvwa", virtual: true, dynamic: true, remote: true},
	}
	need := map[string]bool{}
	check := func(c *nodeCommon, def string) {
		c.typ = orText(c.typ, def)
		need[c.typ] = true
		if x.types[c.typ] == nil && !isUsual(usual, c.typ) {
			x.r.fail(c.line, "expected %s to have a type of types: or one of pc, pcvm, pcwa, pcvwa, not %q", c.id, c.typ)
		}
	}
	for i := range x.d.hosts {
		h := &x.d.hosts[i]
		def := "pc"
		if h.remote {
			def = "pcwa"
		}
		check(&h.nodeCommon, def)
	}
	for i := range x.d.vnodes {
		v := &x.d.vnodes[i]
		def := "pcvm"
		if h := x.hosts[v.host]; h != nil && h.remote {
			def = "pcvwa"
		}
		check(&v.nodeCommon, def)
	}
	for _, t := range usual {
		if need[t.name] && x.types[t.name] == nil {
			x.d.types = append(x.d.types, t)
		}
	}
}

func isUsual(usual []nodeType, name string) bool {
	for _, t := range usual {
		if t.name == name {
			return true
		}
	}
	return false
}

func (x *expander) experimentRows() {
	for i := range x.d.experiments {
		e := &x.d.experiments[i]
		p := x.projects[e.pid]
		if p == nil {
			continue
		}
		e.gid = orText(e.gid, e.pid)
		g := x.groups[e.pid+"/"+e.gid]
		if g == nil {
			x.r.fail(e.line, "expected group of %s/%s to be one of the project, there is no %s/%s", e.pid, e.eid, e.pid, e.gid)
			continue
		}
		e.creator = orText(e.creator, p.head)
		e.swapper = orText(e.swapper, e.creator)
		label := e.pid + "/" + e.eid
		creator := x.who(orInt(e.creatorLine, e.line), "creator of "+label, e.creator)
		swapper := creator
		if e.swapper != e.creator {
			swapper = x.who(orInt(e.swapperLine, e.line), "swapper of "+label, e.swapper)
		}
		row := Columns{"eid": e.eid, "eid_uuid": "expt-" + text(int64(e.idx)), "pid": e.pid, "gid": e.gid,
			"pid_idx": int64(p.idx), "gid_idx": int64(g.idx), "idx": int64(e.idx),
			"creator_idx":   int64(creator),
			"swapper_idx":   int64(swapper),
			"expt_head_uid": textOrNull(e.creator), "expt_swap_uid": textOrNull(e.swapper),
			"state": "active", "expt_name": e.eid}
		for col, v := range map[string]string{"sync_server": e.syncServer, "keyhash": e.keyHash, "eventkey": e.eventKey, "nfsmounts": e.mounts} {
			if v != "" {
				row[col] = v
			}
		}
		x.db.insert("experiments", row)
		if e.ports[1] != 0 {
			x.db.insert("ipport_ranges", Columns{"eid": e.eid, "exptidx": int64(e.idx), "pid": e.pid,
				"low": int64(e.ports[0]), "high": int64(e.ports[1])})
		}
	}
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
