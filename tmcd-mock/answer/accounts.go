package answer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"emujail/tmcd-mock/testbed"
)

// accounts tells a node which groups and users it should have
// (docs/spec/protocol.md §6): those of the audience, guests of a remote host,
// and the users of a slice, who have no account here.
func (c *call) accounts() {
	switch {
	case c.q.Transport == UDP:
		c.refuse("accounts over UDP")
		return
	case (c.who.local || c.who.vnode) && !c.who.allocated():
		c.refuse("accounts from %s, which is free", c.who.id)
		return
	}
	a := c.audience()
	if !c.accountGroups(c.audienceGroups(a)) || a == forEveryone {
		return
	}
	seats := c.seats(a)
	if len(seats) == 0 {
		return
	}
	c.accountUsers(c.locals(seats, a), "user_pubkeys")
	if !c.who.local && !c.who.vnode && !c.who.tainted("blackbox") {
		c.accountUsers(c.guests(), "user_pubkeys")
	}
	if c.ofForeignSlice() && c.who.mounts != "emulabdefault" && !c.who.sharedHost() && !c.who.tainted("blackbox") {
		c.accountUsers(c.sliceUsers(), "nonlocal_user_pubkeys")
	}
}

// accountGroups writes the groups and counts the update as done. A gid of one
// digit is none, and ends it.
func (c *call) accountGroups(groups []testbed.Row) bool {
	if len(groups) == 0 {
		c.refuse("project %q has no group", c.who.pid)
		return false
	}
	for i, g := range groups {
		if len(g.Text("unix_gid")) < 2 {
			if i == 0 {
				c.refuse("group %s has a gid of one digit", g.Text("unix_name"))
			}
			return false
		}
		c.linef("ADDGROUP NAME=%s GID=%d", g.Text("unix_name"), g.Int("unix_gid"))
	}
	if c.who.node.Int("update_accounts") > 0 {
		c.change(testbed.Change{Table: "nodes", Op: testbed.Decline,
			Where: map[string]string{"node_id": c.who.id}, Set: testbed.Columns{"update_accounts": int64(1)}})
	}
	return true
}

// login is a user in one group, as an account shows it.
type login struct {
	uid, idx, unixUID, name, email, shell, serial string
	password, windows                             string
	emulabKey, homeKey                            string
	admin, remoteRoot, jailRoot                   int

	pid, gid, trust string
	unixGID         int
}

// locals are users with an account at the testbed. Where not the experiment
// decides, or on a remote host, their passwords stay here.
func (c *call) locals(seats []seat, a audience) []login {
	var list []login
	for _, s := range seats {
		l := localLogin(s.user)
		l.pid, l.gid, l.unixGID, l.trust = s.group.Text("pid"), s.group.Text("gid"), s.group.Int("unix_gid"), s.trust
		if a != forExperiment || c.dedicated() {
			l.password = "*"
		}
		list = append(list, l)
	}
	return list
}

func localLogin(u testbed.Row) login {
	return login{uid: u.Text("uid"), idx: u.Text("uid_idx"), unixUID: u.Text("unix_uid"), name: u.Text("usr_name"),
		email: u.Text("usr_email"), shell: u.Text("usr_shell"), serial: stamp(u, "usr_modified"),
		password: u.Text("usr_pswd"), windows: u.Text("usr_w_pswd"),
		emulabKey: u.Text("emulab_pubkey"), homeKey: u.Text("home_pubkey"),
		admin: u.Int("admin"), remoteRoot: u.Int("widearearoot"), jailRoot: u.Int("wideareajailroot")}
}

// guests have an account on this remote host alone.
func (c *call) guests() []login {
	var list []login
	for w := range c.db.Where("widearea_accounts", "node_id", c.who.id) {
		if !trusted(w) {
			continue
		}
		for u := range c.db.Where("users", "uid_idx", w.Text("uid_idx")) {
			if !u.Is("status", "active") {
				continue
			}
			l := localLogin(u)
			l.pid, l.gid, l.unixGID, l.trust = "guest", "guest", guestGroup, w.Text("trust")
			l.password = "*"
			list = append(list, l)
		}
	}
	return list
}

// ofForeignSlice: a sliver of a slice whose project is another testbed's.
func (c *call) ofForeignSlice() bool {
	return c.who.geni && c.db.First("projects", "pid", c.who.pid).Value("nonlocal_id") != nil
}

// sliceUsers are in the project's own group and in the experiment's.
func (c *call) sliceUsers() []login {
	const first = 20000 // below are the testbed's own users
	var list []login
	for u := range c.db.Where("nonlocal_user_accounts", "exptidx", c.who.exptidx) {
		for g := range c.db.Where("groups", "pid", c.who.pid) {
			if !g.Is("gid", g.Text("pid")) && !g.Is("gid", c.who.gid) {
				continue
			}
			list = append(list, login{uid: u.Text("uid"), idx: u.Text("uid_idx"), unixUID: fmt.Sprint(first + u.Int("unix_uid")),
				name: u.Text("name"), email: u.Text("email"), shell: "bash", serial: stamp(u, "updated"), password: "*",
				pid: g.Text("pid"), gid: g.Text("gid"), unixGID: g.Int("unix_gid"), trust: "local_root"})
		}
	}
	return list
}

// accountUsers writes each user with the keys of that table, sorted by name.
func (c *call) accountUsers(all []login, keys string) {
	slices.SortStableFunc(all, func(a, b login) int { return collate(a.uid, b.uid) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].uid == all[0].uid {
			n++
		}
		c.accountUser(all[:n], keys)
		all = all[n:]
	}
}

// accountUser writes a user who is in these groups. Of a slice of another
// testbed's project the project's own users are stubs, but for the leader.
func (c *call) accountUser(in []login, keys string) {
	own, others, trusts := c.sortGroups(in)
	leader := slices.Contains(trusts, "project_root")
	if keys == "user_pubkeys" && c.ofForeignSlice() && !leader {
		return
	}
	if own < 0 {
		own, others = others[len(others)-1], others[:len(others)-1]
	}
	l := &in[len(in)-1]
	c.out = append(c.out, c.userLine(l, own, others, c.root(in, trusts))...)
	if c.version < 5 {
		return
	}
	if c.sendsKeys() {
		for k := range c.db.Where(keys, "uid_idx", l.idx) {
			c.linef("PUBKEY LOGIN=%s KEY=\"%s\"", l.uid, k.Text("pubkey"))
		}
	}
	if c.version >= 6 && c.db.First("node_hostkeys", "node_id", c.who.id).Has("sfshostid") {
		for k := range c.db.Where("user_sfskeys", "uid_idx", l.idx) {
			c.linef("SFSKEY KEY=\"%s\"", k.Text("pubkey"))
		}
	}
}

// sortGroups tells the experiment's group, -1 if the user isn't in it, from
// the others, and gives the trust in it.
func (c *call) sortGroups(in []login) (own int, others []int, trusts []string) {
	own = -1
	for i := range in {
		l := &in[i]
		switch {
		case l.pid == c.who.pid && l.gid == c.who.gid:
			own = l.unixGID
			trusts = append(trusts, l.trust)
		case !slices.Contains(others, l.unixGID):
			others = append(others, l.unixGID)
		}
	}
	return own, others, trusts
}

// root: who is trusted enough on this kind of node.
func (c *call) root(in []login, trusts []string) int {
	admin, last := in[0].admin, &in[len(in)-1]
	root := admin
	for _, t := range trusts {
		if t == "local_root" || t == "group_root" || t == "project_root" {
			root = 1
		}
	}
	if !c.who.local && !c.dedicated() && !c.plabSlice() {
		root = last.remoteRoot
		if c.who.vnode {
			root = last.jailRoot
		}
		if admin != 0 {
			root = 1
		}
	}
	if c.who.tainted("useronly") && admin == 0 {
		root = 0
	}
	return root
}

// plabSlice: a vnode of a kind that PlanetLab has.
func (c *call) plabSlice() bool {
	return c.who.vnode && c.who.own.Bool("isplabdslice")
}

func (c *call) userLine(l *login, own int, others []int, root int) string {
	var gids []string
	for _, g := range others {
		gids = append(gids, fmt.Sprint(g))
	}
	glist := strings.Join(gids, ",")
	if c.version >= 4 {
		glist = `"` + glist + `"`
	}
	line := fmt.Sprintf("ADDUSER LOGIN=%s PSWD=%s UID=%s GID=%d ROOT=%d NAME=\"%s\" HOMEDIR=%s/%s GLIST=%s",
		l.uid, c.password(l), l.unixUID, own, root, l.name, c.site.LocalDirs.Users, l.uid, glist)
	if c.version == 4 {
		line += fmt.Sprintf(" EMULABPUBKEY=\"%s\" HOMEPUBKEY=\"%s\"", l.emulabKey, l.homeKey)
	}
	if c.version >= 5 {
		line += " SERIAL=" + l.serial
	}
	if c.version >= 9 {
		line += fmt.Sprintf(" EMAIL=\"%s\"", l.email)
	}
	if c.version >= 10 {
		line += " SHELL=" + l.shell
	}
	return line + "\n"
}

// password is a hash, or a star that no password has. Remote nodes get the
// star from version 5 on, which had it in quotes.
func (c *call) password(l *login) string {
	switch {
	case c.version == 5 && !c.who.local:
		return "'*'"
	case c.version >= 5 && !c.who.local:
		return "*"
	case !strings.HasPrefix(c.args, "windows"):
		return l.password
	case l.windows != "":
		return l.windows
	}
	// A piece of the hash: its salt, or its first 8 characters.
	hash := strings.TrimPrefix(l.password, "$1$")
	return hash[:min(8, len(hash))]
}

// sendsKeys: nodes that mount home directories find the keys there.
func (c *call) sendsKeys() bool {
	return !c.who.local || c.site.NoSharedFS || c.who.sharing != "" ||
		c.who.mounts == "none" || c.who.mounts == "genidefault" ||
		strings.HasPrefix(c.args, "pubkeys") || strings.HasPrefix(c.args, "windows")
}

// stamp is a time of the database in seconds since 1970, "" for NULL.
func stamp(r testbed.Row, column string) string {
	if r.Value(column) == nil {
		return ""
	}
	return fmt.Sprint(serial(r.Text(column)))
}

// serial is a time of the database in seconds since 1970.
func serial(s string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		return 0
	}
	return t.Unix()
}
