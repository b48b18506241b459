package testbed

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// expander turns a document into rows and knows what each name stands for.
type expander struct {
	r  *reader
	d  *doc
	db *DB

	users       map[string]*user
	projects    map[string]*project
	groups      map[string]*group      // by pid/gid
	experiments map[string]*experiment // by pid/eid
	hosts       map[string]*host
	types       map[string]*nodeType
	members     map[string]nodeRef // pid/eid/vname → who
	ordinal     map[string]int     // vnode → its place on its host, from 1
	units       map[string]int     // host → virtual interfaces so far
}

// nodeRef is the node that has a name in an experiment.
type nodeRef struct {
	id, host string // host is "" for a host
}

func (d *doc) expand(r *reader) *DB {
	db := NewDB()
	db.Site = d.site
	db.files = d.files
	db.Faults, db.Timeline = d.faults, d.timeline
	for table, cols := range d.defaults {
		merged := maps.Clone(db.defaults[table])
		if merged == nil {
			merged = Columns{}
		}
		maps.Copy(merged, cols)
		maps.DeleteFunc(merged, func(_ string, v any) bool { return v == nil })
		if db.defaults[table] = merged; len(merged) == 0 {
			delete(db.defaults, table)
		}
	}
	x := &expander{r: r, d: d, db: db,
		users: map[string]*user{}, projects: map[string]*project{}, groups: map[string]*group{},
		experiments: map[string]*experiment{}, hosts: map[string]*host{}, types: map[string]*nodeType{},
		members: map[string]nodeRef{}, ordinal: map[string]int{}, units: map[string]int{}}
	x.number()
	x.register()
	x.projectRows()
	x.userRows()
	x.typeRows()
	x.experimentRows()
	x.nodeRows()
	x.lanRows()
	x.partRows()
	x.siteVarRows()
	x.rawRows()
	db.seal()
	return db
}

// number gives indexes to what has none: the first free ones, in file order.
func (x *expander) number() {
	d := x.d
	for i := range d.projects {
		p := &d.projects[i]
		g := group{line: p.line, pid: p.pid, gid: p.pid, unixName: p.pid, unixGID: p.gid, leader: p.head}
		if at := slices.IndexFunc(d.groups, func(g group) bool { return g.pid == p.pid && g.gid == p.pid }); at < 0 {
			d.groups = slices.Insert(d.groups, i, g)
		} else {
			have := &d.groups[at]
			have.unixName = orText(have.unixName, p.pid)
			have.unixGID = orInt(have.unixGID, p.gid)
			have.leader = orText(have.leader, p.head)
		}
	}
	assign(d.projects, func(p *project) *int { return &p.idx }, 1)
	assign(d.groups, func(g *group) *int { return &g.idx }, 1)
	assign(d.experiments, func(e *experiment) *int { return &e.idx }, 100)
	slices.SortStableFunc(d.projects, func(a, b project) int { return a.idx - b.idx })
	slices.SortStableFunc(d.groups, func(a, b group) int { return a.idx - b.idx })
	slices.SortStableFunc(d.experiments, func(a, b experiment) int { return a.idx - b.idx })
	assign(d.users, func(u *user) *int { return &u.unixUID }, 10001)
	gid := func(g *group) *int { return &g.unixGID }
	assign(d.groups, gid, 6001)
	for i := range d.users {
		d.users[i].idx = orInt(d.users[i].idx, d.users[i].unixUID)
	}
}

// assign gives each value without a number the next free one from first on.
func assign[T any](list []T, number func(*T) *int, first int) {
	taken := map[int]bool{}
	for i := range list {
		taken[*number(&list[i])] = true
	}
	next := first
	for i := range list {
		if n := number(&list[i]); *n == 0 {
			for taken[next] {
				next++
			}
			*n, taken[next] = next, true
		}
	}
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orInt(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// register notes every name, and complains of names that are there twice.
func (x *expander) register() {
	d, r := x.d, x.r
	for i := range d.projects {
		x.projects[d.projects[i].pid] = &d.projects[i]
	}
	for i := range d.groups {
		g := &d.groups[i]
		if x.projects[g.pid] == nil {
			r.fail(g.line, "expected group %s/%s to belong to a project of projects:, there is no %q", g.pid, g.gid, g.pid)
		}
		x.groups[g.pid+"/"+g.gid] = g
	}
	for i := range d.types {
		x.types[d.types[i].name] = &d.types[i]
	}
	x.registerUsers()
	for i := range d.experiments {
		e := &d.experiments[i]
		if x.projects[e.pid] == nil {
			r.fail(e.line, "expected experiment %s/%s to belong to a project of projects:, there is no %q", e.pid, e.eid, e.pid)
		}
		x.experiments[e.pid+"/"+e.eid] = e
	}
	ids, addrs := map[string]int{}, map[string]string{}
	for i := range d.hosts {
		h := &d.hosts[i]
		x.registerNode(&h.nodeCommon, "", ids)
		x.registerAddr(h.line, h.id, h.ip, addrs)
		x.hosts[h.id] = h
	}
	onHost := map[string]int{}
	for i := range d.vnodes {
		v := &d.vnodes[i]
		x.registerNode(&v.nodeCommon, v.host, ids)
		x.registerAddr(v.line, v.id, v.jailIP, addrs)
		if x.hosts[v.host] == nil && v.host != "" {
			r.fail(v.line, "expected vnode %s to have the id of one of hosts:, there is no host %q", v.id, v.host)
		}
		onHost[v.host]++
		x.ordinal[v.id] = onHost[v.host]
	}
}

func (x *expander) registerUsers() {
	uids := map[int]string{}
	for i := range x.d.users {
		u := &x.d.users[i]
		if other, dup := uids[u.unixUID]; dup {
			x.r.fail(u.line, "expected user %s to have a uid of its own, %d is that of %s", u.uid, u.unixUID, other)
		}
		uids[u.unixUID] = u.uid
		x.users[u.uid] = u
	}
}

func (x *expander) registerAddr(line int, id, ip string, addrs map[string]string) {
	if ip == "" {
		return
	}
	if other, dup := addrs[ip]; dup {
		x.r.fail(line, "expected %s to have an address of its own, %s is that of %s", id, ip, other)
	}
	addrs[ip] = id
}

func (x *expander) registerNode(c *nodeCommon, host string, ids map[string]int) {
	if line, dup := ids[c.id]; dup {
		x.r.fail(c.line, "expected a new node id, %s stands already in line %d", c.id, line)
	}
	ids[c.id] = c.line
	switch {
	case c.experiment == "" && c.name != "":
		x.r.fail(c.line, "expected %s, which has a name:, to have an experiment: too", c.id)
	case c.experiment == "":
	case x.experiments[c.experiment] == nil:
		x.r.fail(c.line, "expected %s to be in an experiment of experiments:, there is no %q", c.id, c.experiment)
	case c.name != "":
		key := c.experiment + "/" + c.name
		if other, dup := x.members[key]; dup {
			x.r.fail(c.line, "expected %s to have a name of its own in %s, %q is that of %s", c.id, c.experiment, c.name, other.id)
		}
		x.members[key] = nodeRef{c.id, host}
	}
}

// who finds a user by login; zero and a complaint if there is none.
func (x *expander) who(line int, what, uid string) int {
	if uid == "" {
		return 0
	}
	u := x.users[uid]
	if u == nil {
		x.r.fail(line, "expected %s to be one of users:, there is no %q", what, uid)
		return 0
	}
	return u.idx
}

// uuidOf makes a node's UUID from its name, the same each time.
func uuidOf(kind, name string) string {
	h := sha256.Sum256([]byte("emujail " + kind + " " + name))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// macOf is the MAC address that goes with an IPv4 address: 02, the address,
// and a last byte.
func macOf(ip string, last byte) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || !a.Is4() {
		return ""
	}
	b := a.As4()
	return fmt.Sprintf("02%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], last)
}

func networkMask(ip, mask string) string {
	a, err := netip.ParseAddr(ip)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil {
		return ip
	}
	x, y := a.As4(), m.As4()
	for i := range x {
		x[i] &= y[i]
	}
	return netip.AddrFrom4(x).String()
}

// sameNet reports whether two addresses are in one network of the mask.
func sameNet(a, b, mask string) bool { return networkMask(a, mask) == networkMask(b, mask) }

func (x *expander) rawRows() {
	for _, t := range x.d.rows {
		x.mergeRows(t)
	}
	for _, t := range x.d.tables {
		if have := x.db.tables[t.name]; have != nil {
			have.rows = nil
		}
		for _, row := range t.rows {
			x.db.insert(t.name, row.columns)
		}
	}
}

// mergeRows adds rows; one whose key is there already changes that row.
func (x *expander) mergeRows(t rawTable) {
	key := keys(t.name)
	place := map[string]int{}
	if have := x.db.tables[t.name]; have != nil && key != nil {
		for i, c := range have.rows {
			if k, ok := rowKey(c, key); ok {
				place[k] = i
			}
		}
	}
	for _, row := range t.rows {
		if k, ok := rowKey(row.columns, key); ok && key != nil {
			if i, there := place[k]; there {
				maps.Copy(x.db.tables[t.name].rows[i], row.columns)
				continue
			}
		}
		if len(row.columns) == 0 {
			x.r.fail(row.line, "expected a row of %s with columns, not an empty one", t.name)
		}
		x.db.insert(t.name, row.columns)
	}
}

// rowKey is the text of a row's key columns; false if one is NULL or absent.
func rowKey(c Columns, key []string) (string, bool) {
	var b strings.Builder
	for _, col := range key {
		v := c[col]
		if v == nil {
			return "", false
		}
		b.WriteString(foldText(text(v)))
		b.WriteByte(0)
	}
	return b.String(), true
}
