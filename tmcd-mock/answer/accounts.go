package answer

import (
	"slices"
	"strings"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

const opsProject = "emulab-ops"

// accounts tells a node which groups and users it should have
// (docs/spec/protocol.md §6).
func (c *call) accounts() {
	switch {
	case c.q.Transport == UDP:
		c.refuse("accounts over UDP")
		return
	case (c.who.local || c.who.vnode) && !c.who.allocated():
		c.refuse("accounts from %s, which is free", c.who.id)
		return
	}
	var acc protocol.Accounts
	if c.who.node.Is("role", "ctrlnode") && !c.who.vnode {
		acc.Groups = c.groups("")
		c.reply(acc)
		return
	}
	admins := c.adminsOnly()
	project := c.who.pid
	if admins {
		project = opsProject
	}
	acc.Groups = c.groups(project)
	if len(acc.Groups) == 0 {
		c.refuse("project %q has no group", project)
		return
	}
	if admins {
		acc.Groups = slices.DeleteFunc(acc.Groups, func(g protocol.Group) bool { return g.Name != c.groupName(opsProject, opsProject) })
	}
	for _, g := range acc.Groups {
		if g.GID < 10 {
			c.refuse("group %s has a gid of one digit", g.Name)
			return
		}
	}
	if c.who.node.Int("update_accounts") > 0 {
		c.change(testbed.Change{Table: "nodes", Op: testbed.Decline,
			Where: map[string]string{"node_id": c.who.id}, Set: testbed.Columns{"update_accounts": int64(1)}})
	}
	acc.Users = c.users(project, admins)
	c.reply(acc)
}

// adminsOnly: nodes where no experimenter logs in get the testbed's operators.
func (c *call) adminsOnly() bool {
	return c.who.jailed && !c.who.local || c.who.sharedHost() || c.who.tainted("blackbox")
}

// groups are those of a project, or of all for "", in the order of the rows.
func (c *call) groups(pid string) []protocol.Group {
	rows := c.db.Rows("groups")
	if pid != "" {
		rows = c.db.Where("groups", "pid", pid)
	}
	var list []protocol.Group
	for g := range rows {
		list = append(list, protocol.Group{Name: g.Text("unix_name"), GID: g.Int("unix_gid")})
	}
	return list
}

func (c *call) groupName(pid, gid string) string { return c.group(pid, gid).Text("unix_name") }

func (c *call) group(pid, gid string) testbed.Row {
	for g := range c.db.Where("groups", "pid", pid) {
		if g.Is("gid", gid) {
			return g
		}
	}
	return testbed.Row{}
}

// account is a user with the groups that count.
type account struct {
	user  testbed.Row
	gids  []int // in the order of the rows
	trust string
	own   int // the experiment's group if the user is in it, else 0
}

// users are the members of the project that may log in, sorted by uid.
func (c *call) users(project string, admins bool) []protocol.User {
	gid := c.who.gid
	if admins {
		gid = opsProject
	}
	byUID := map[string]*account{}
	for m := range c.db.Where("group_membership", "pid", project) {
		u := c.db.First("users", "uid", m.Text("uid"))
		if m.Is("trust", "none") || !c.mayLogIn(u, admins) {
			continue
		}
		g := c.group(project, m.Text("gid"))
		uid := u.Text("uid")
		a := byUID[uid]
		if a == nil {
			a = &account{user: u}
			byUID[uid] = a
		}
		a.gids = append(a.gids, g.Int("unix_gid"))
		if m.Is("gid", gid) {
			a.own, a.trust = g.Int("unix_gid"), m.Text("trust")
		}
	}
	var list []protocol.User
	for _, a := range byUID {
		subgroup := !strings.EqualFold(gid, project)
		if (subgroup || admins) && a.own == 0 {
			continue
		}
		list = append(list, c.user(a, admins))
	}
	list = append(list, c.nonlocalUsers(project)...)
	slices.SortFunc(list, func(a, b protocol.User) int { return collate(a.Login, b.Login) })
	return append(list, c.wideAreaUsers(admins)...)
}

// mayLogIn leaves out the inactive, and who the site keeps apart.
func (c *call) mayLogIn(u testbed.Row, admins bool) bool {
	switch {
	case u.IsZero() || !u.Is("status", "active") || u.Bool("webonly"):
		return false
	case admins:
		return u.Bool("admin") || u.Is("uid", "elabman")
	case c.site.IsolateAdmins:
		return u.Bool("admin") == c.swapperIsAdmin()
	}
	return true
}

func (c *call) swapperIsAdmin() bool {
	return c.db.First("users", "uid_idx", c.who.expt.Text("swapper_idx")).Bool("admin")
}

func (c *call) user(a *account, admins bool) protocol.User {
	u := a.user
	uid := u.Text("uid")
	out := protocol.User{Login: uid, UID: u.Int("unix_uid"), Name: u.Text("usr_name"), HomeDir: c.home(uid),
		Root: c.root(a), Serial: serial(u.Text("usr_modified")), Email: u.Text("usr_email"), Shell: u.Text("usr_shell"),
		EmulabPubKey: u.Text("emulab_pubkey"), HomePubKey: u.Text("home_pubkey")}
	out.GID = a.own
	if out.GID == 0 {
		out.GID = a.gids[len(a.gids)-1]
	}
	for _, g := range a.gids {
		if g != out.GID {
			out.Groups = append(out.Groups, g)
		}
	}
	out.Password = c.password(u, admins)
	if c.sendsKeys() {
		out.Keys = c.keys("user_pubkeys", u)
	}
	if c.db.First("node_hostkeys", "node_id", c.who.id).Has("sfshostid") {
		out.SFSKeys = c.keys("user_sfskeys", u)
	}
	return out
}

func (c *call) home(uid string) string { return c.site.LocalDirs.Users + "/" + uid }

// root: who is trusted enough on this kind of node.
func (c *call) root(a *account) bool {
	u := a.user
	switch {
	case u.Bool("admin"):
		return true
	case c.who.tainted("useronly", "blackbox"):
		return false
	case !c.who.local && c.who.vnode:
		return u.Bool("wideareajailroot")
	case !c.who.local && !c.dedicated():
		return u.Bool("widearearoot")
	}
	return slices.Contains([]string{"local_root", "group_root", "project_root"}, a.trust)
}

// dedicated: a remote node that one experiment has to itself.
func (c *call) dedicated() bool {
	return c.who.kind.Bool("isdedicatedremote") || c.who.kind.Bool("isdedicated")
}

func (c *call) password(u testbed.Row, admins bool) string {
	switch {
	case !c.who.local && c.version == 5:
		return "'*'"
	case !c.who.local, admins:
		return "*"
	case strings.HasPrefix(c.args, "windows"):
		return windowsPassword(u)
	}
	return u.Text("usr_pswd")
}

// windowsPassword is the one chosen for Windows, else a piece of the hash:
// its salt, or its first 8 characters.
func windowsPassword(u testbed.Row) string {
	if w := u.Text("usr_w_pswd"); w != "" {
		return w
	}
	hash := u.Text("usr_pswd")
	if salt, ok := strings.CutPrefix(hash, "$1$"); ok {
		return salt[:min(8, len(salt))]
	}
	return hash[:min(8, len(hash))]
}

// sendsKeys: nodes that mount home directories find the keys there.
func (c *call) sendsKeys() bool {
	return !c.who.local || c.site.NoSharedFS || c.who.sharing != "" ||
		c.who.mounts == "none" || c.who.mounts == "genidefault" ||
		strings.HasPrefix(c.args, "pubkeys") || strings.HasPrefix(c.args, "windows")
}

func (c *call) keys(table string, u testbed.Row) []string {
	var list []string
	for k := range c.db.Where(table, "uid", u.Text("uid")) {
		list = append(list, k.Text("pubkey"))
	}
	return list
}

// nonlocalUsers are the users of a GENI slice, who have no account here.
func (c *call) nonlocalUsers(project string) []protocol.User {
	if !c.db.First("projects", "pid", project).Has("nonlocal_id") {
		return nil
	}
	gid := c.group(project, project).Int("unix_gid")
	var list []protocol.User
	for u := range c.db.Where("nonlocal_user_accounts", "exptidx", c.who.exptidx) {
		uid := u.Text("uid")
		user := protocol.User{Login: uid, Password: "*", UID: 20000 + u.Int("unix_uid"), GID: gid, Root: true,
			Name: u.Text("name"), HomeDir: c.home(uid), Serial: serial(u.Text("updated")), Email: u.Text("email"), Shell: "bash"}
		if c.version == 5 {
			user.Password = "'*'"
		}
		for k := range c.db.Where("nonlocal_user_pubkeys", "uid_idx", u.Text("uid_idx")) {
			user.Keys = append(user.Keys, k.Text("pubkey"))
		}
		list = append(list, user)
	}
	return list
}

// guestGroup is the Unix group of people with an account on one remote host.
const guestGroup = 31

// wideAreaUsers have an account on this remote host alone.
func (c *call) wideAreaUsers(admins bool) []protocol.User {
	if c.who.local || c.who.vnode || admins {
		return nil
	}
	var list []protocol.User
	for w := range c.db.Where("widearea_accounts", "node_id", c.who.id) {
		u := c.db.First("users", "uid", w.Text("uid"))
		if w.Is("trust", "none") || !c.mayLogIn(u, false) {
			continue
		}
		a := &account{user: u, gids: []int{guestGroup}, own: guestGroup}
		user := c.user(a, false)
		user.Root = user.Root || w.Is("trust", "local_root")
		list = append(list, user)
	}
	return list
}

// serial is a time of the database in seconds since 1970.
func serial(s string) int64 {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		return 0
	}
	return t.Unix()
}
