package testbed

import (
	"fmt"
	"slices"
	"strings"
)

// recognizer finds in rows what a person would have written: the reverse of
// expander. It takes only what expand can make again; what it leaves, or gets
// wrong in a column, Import gives as rows.
type recognizer struct {
	db    *DB
	d     *doc
	users map[string]bool
	expts map[string]string // idx → pid/eid, of those taken
	hosts map[string]bool
	names map[string]nodeRef // pid/eid/vname → who
}

func recognize(db *DB) *doc {
	z := &recognizer{db: db, d: &doc{site: db.Site, files: db.files, faults: db.Faults, timeline: db.Timeline},
		users: map[string]bool{}, expts: map[string]string{}, hosts: map[string]bool{}, names: map[string]nodeRef{}}
	z.people()
	z.nodeTypes()
	z.experimentList()
	z.nodeLists()
	z.partLists()
	return z.d
}

func (z *recognizer) people() {
	loginOK := func(uid string) bool { return uid != "" && nameOK(uid, ".", 32) && !z.users[uid] }
	uids := map[int]bool{}
	for r := range z.db.Rows("users") {
		if id := r.Int("unix_uid"); loginOK(r.Text("uid")) && id > 0 && !uids[id] {
			z.users[r.Text("uid")], uids[id] = true, true
		}
	}
	projects := map[string]bool{}
	for r := range z.db.Rows("projects") {
		p := project{pid: r.Text("pid"), name: r.Text("name"), head: r.Text("head_uid"), gid: r.Int("unix_gid"),
			idx: r.Int("pid_idx"), nonlocal: r.Text("nonlocal_id")}
		if projects[p.pid] || !nameOK(p.pid, "", 48) || p.head != "" && !z.users[p.head] || p.gid < 10 || p.idx < 1 {
			continue
		}
		projects[p.pid] = true
		z.d.projects = append(z.d.projects, p)
	}
	groups := map[string]bool{}
	for r := range z.db.Rows("groups") {
		g := group{pid: r.Text("pid"), gid: r.Text("gid"), unixName: r.Text("unix_name"), unixGID: r.Int("unix_gid"),
			leader: r.Text("leader"), idx: r.Int("gid_idx")}
		key := g.pid + "/" + g.gid
		if !projects[g.pid] || groups[key] || g.gid == "" || strings.Contains(g.gid, "/") || g.leader != "" && !z.users[g.leader] || g.unixGID < 10 || g.idx < 1 {
			continue
		}
		groups[key] = true
		z.d.groups = append(z.d.groups, g)
	}
	for r := range z.db.Rows("users") {
		if uid := r.Text("uid"); z.users[uid] {
			z.user(uid, r, groups)
		}
	}
}

func (z *recognizer) user(uid string, r Row, groups map[string]bool) {
	u := user{uid: uid, name: r.Text("usr_name"), email: r.Text("usr_email"), unixUID: r.Int("unix_uid"), idx: r.Int("uid_idx"),
		password: r.Text("usr_pswd"), windows: r.Text("usr_w_pswd"), shell: r.Text("usr_shell"), status: r.Text("status"),
		admin: r.Bool("admin"), webOnly: r.Bool("webonly"), remoteRoot: r.Bool("widearearoot"), jailRoot: r.Bool("wideareajailroot"),
		modified: r.Text("usr_modified"), emulabKey: r.Text("emulab_pubkey")}
	for k := range z.db.Where("user_pubkeys", "uid", uid) {
		if k.Int("idx") == len(u.keys)+1 {
			u.keys = append(u.keys, k.Text("pubkey"))
		}
	}
	for m := range z.db.Where("group_membership", "uid", uid) {
		key := m.Text("pid") + "/" + m.Text("gid")
		trusts := []string{"none", "user", "local_root", "group_root", "project_root"}
		if groups[key] && slices.Contains(trusts, m.Text("trust")) {
			u.groups = append(u.groups, membership{0, m.Text("pid"), m.Text("gid"), m.Text("trust")})
		}
	}
	z.d.users = append(z.d.users, u)
}

func (z *recognizer) nodeTypes() {
	for r := range z.db.Rows("node_types") {
		t := nodeType{name: r.Text("type"), class: r.Text("class"), virtual: r.Bool("isvirtnode"), jailed: r.Bool("isjailed"),
			dynamic: r.Bool("isdynamic"), remote: r.Bool("isremotenode"), subnode: r.Bool("issubnode")}
		if t.name == "" || slices.ContainsFunc(z.d.types, func(o nodeType) bool { return o.name == t.name }) {
			continue
		}
		for a := range z.db.Where("node_type_attributes", "type", t.name) {
			t.attributes = append(t.attributes, attribute{a.Text("attrkey"), typedValue(a.Text("attrvalue"), a.Text("attrtype"))})
		}
		z.d.types = append(z.d.types, t)
	}
}

// typedValue is an attribute as YAML should show it; text that isn't what its
// type says stays text.
func typedValue(s, kind string) any {
	if v := int64(Atoi(s)); kind == "integer" && text(v) == s {
		return v
	}
	var f float64
	if n, err := fmt.Sscanf(s, "%g", &f); kind == "float" && n == 1 && err == nil && text(f) == s {
		return f
	}
	return s
}

func (z *recognizer) experimentList() {
	projects := map[string]bool{}
	for _, p := range z.d.projects {
		projects[p.pid] = true
	}
	groups := map[string]bool{}
	for _, g := range z.d.groups {
		groups[g.pid+"/"+g.gid] = true
	}
	seen := map[string]bool{}
	for r := range z.db.Rows("experiments") {
		e := experiment{pid: r.Text("pid"), eid: r.Text("eid"), gid: r.Text("gid"), idx: r.Int("idx"), creator: r.Text("expt_head_uid"),
			swapper: r.Text("expt_swap_uid"), syncServer: r.Text("sync_server"), keyHash: r.Text("keyhash"), eventKey: r.Text("eventkey")}
		key := e.pid + "/" + e.eid
		if seen[key] || !projects[e.pid] || !groups[e.pid+"/"+e.gid] || !nameOK(e.eid, "", 32) || e.idx < 1 ||
			!z.users[e.creator] || !z.users[e.swapper] || strings.ContainsAny(e.keyHash+e.eventKey, " \t\n") {
			continue
		}
		seen[key] = true
		if m, ok := r.columns["nfsmounts"].(string); ok && slices.Contains([]string{"emulabdefault", "all", "genidefault", "none"}, m) {
			e.mounts = m
		}
		for p := range z.db.Where("ipport_ranges", "exptidx", r.Text("idx")) {
			if low, high := p.Int("low"), p.Int("high"); low >= 1 && low <= high && high <= 65535 {
				e.ports = [2]int{low, high}
			}
		}
		for _, ev := range z.db.Schedule {
			if ev.PID == e.pid && ev.EID == e.eid {
				e.schedule = append(e.schedule, ev)
			}
		}
		z.expts[r.Text("idx")] = key
		z.d.experiments = append(z.d.experiments, e)
	}
}

// nameOK is what reader.name accepts.
func nameOK(s, more string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_"+more, c))
	}) < 0
}
