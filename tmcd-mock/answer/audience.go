package answer

import (
	"iter"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

const (
	opsProject = "emulab-ops"
	opsUser    = "elabman" // gets an account wherever admins do
	guestGroup = 31        // the Unix group of people with an account on one remote host
)

// audience is whose accounts a node has (docs/spec/protocol.md §6).
type audience int

const (
	forExperiment audience = iota
	forEveryone            // a control node: all groups, no users
	forType                // the groups that the node's type names, and no admins
	forOperators           // nobody logs in there but those who run the testbed
	forVisitors            // a remote node without jails: projects that may use its kind
)

func (c *call) audience() audience {
	_, listed := c.typeAttribute("project_accounts")
	switch {
	case c.who.phys.Is("role", "ctrlnode"):
		return forEveryone
	case listed:
		return forType
	case c.who.jailed && !c.who.local, c.who.local && c.who.sharedHost(), c.who.tainted("blackbox"):
		return forOperators
	case c.who.vnode, c.who.local, c.dedicated():
		return forExperiment
	}
	return forVisitors
}

// typeAttribute is an attribute of the asker's own type.
func (c *call) typeAttribute(key string) (string, bool) {
	return typeAttr(c.db, c.who.node.Text("type"), key)
}

// dedicated: a remote host that one experiment has to itself.
func (c *call) dedicated() bool {
	v, _ := c.typeAttribute("dedicated_widearea")
	return !c.who.vnode && !c.who.local && strings.HasPrefix(v, "1")
}

// listedGroups are the groups, by index, that a host's own attribute lets in.
func (c *call) listedGroups() (string, bool) {
	return nodeAttr(c.db, c.who.host, "dp_projects")
}

// inSet looks for a word in a list with commas, as the database does.
func inSet(word, list string) bool {
	return list != "" && slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.EqualFold(s, word) })
}

// audienceGroups are the groups that the node gets, in the order of the rows.
func (c *call) audienceGroups(a audience) []testbed.Row {
	switch a {
	case forEveryone:
		return slices.Collect(c.db.Rows("groups"))
	case forOperators:
		return slices.Collect(c.db.Where("groups", "pid", opsProject))
	case forExperiment:
		return slices.Collect(c.db.Where("groups", "pid", c.who.pid))
	case forType:
		list, _ := c.typeAttribute("project_accounts")
		return c.approvedGroups("pid_idx", func(p, g testbed.Row) bool {
			return inSet(g.Text("gid_idx"), list) || p.Is("pid", opsProject)
		})
	}
	list, _ := c.listedGroups()
	groups := c.approvedGroups("pid", func(_, g testbed.Row) bool { return inSet(g.Text("gid_idx"), list) })
	if len(groups) > 0 {
		return groups
	}
	return c.approvedGroups("pid", func(p, _ testbed.Row) bool { return c.welcome(p) })
}

// welcome: the project may use remote nodes of the asker's type.
func (c *call) welcome(project testbed.Row) bool {
	return inSet(c.who.node.Text("type"), project.Text("pcremote_ok"))
}

// approvedGroups are the groups of approved projects that fit; key joins the two.
func (c *call) approvedGroups(key string, fit func(project, group testbed.Row) bool) []testbed.Row {
	var list []testbed.Row
	for p := range c.db.Rows("projects") {
		if !p.Bool("approved") {
			continue
		}
		for g := range c.db.Where("groups", key, p.Text(key)) {
			if fit(p, g) {
				list = append(list, g)
			}
		}
	}
	return list
}

// seat is a user in one group.
type seat struct {
	user, group testbed.Row
	trust       string
}

// seats are the users that the node gets, once for each group that counts.
func (c *call) seats(a audience) []seat {
	switch a {
	case forOperators:
		return c.seatsIn(c.db.Where("group_membership", "pid", opsProject), c.sameGroup, func(s seat) bool {
			return s.user.Is("admin", "1") || s.user.Is("uid", opsUser)
		})
	case forExperiment:
		return c.seatsIn(c.db.Where("group_membership", "pid", c.who.pid), c.projectGroups, func(s seat) bool {
			return s.user.Is("webonly", "0") && c.keptApart(s.user)
		})
	case forType:
		list, _ := c.typeAttribute("project_accounts")
		return c.visitors("pid_idx", c.groupByIndex, func(_, g testbed.Row) bool { return inSet(g.Text("gid_idx"), list) })
	}
	list, own := c.listedGroups()
	return c.visitors("pid", c.sameGroup, func(p, g testbed.Row) bool {
		if own {
			return inSet(g.Text("gid_idx"), list)
		}
		return c.welcome(p)
	})
}

// visitors are the members of approved projects, but for admins.
func (c *call) visitors(key string, groups groupsOf, fit func(project, group testbed.Row) bool) []seat {
	var list []seat
	for p := range c.db.Rows("projects") {
		if !p.Bool("approved") {
			continue
		}
		list = append(list, c.seatsIn(c.db.Where("group_membership", key, p.Text(key)), groups, func(s seat) bool {
			return fit(p, s.group) && s.user.Is("webonly", "0") && s.user.Is("admin", "0")
		})...)
	}
	return list
}

// groupsOf finds the groups that go with a membership.
type groupsOf func(membership testbed.Row) []testbed.Row

// sameGroup is the group of the membership itself.
func (c *call) sameGroup(m testbed.Row) []testbed.Row {
	return slices.Collect(c.where("groups", "pid", m.Text("pid"), "gid", m.Text("gid")))
}

func (c *call) groupByIndex(m testbed.Row) []testbed.Row {
	return slices.Collect(c.db.Where("groups", "gid_idx", m.Text("gid_idx")))
}

// projectGroups: an experiment of a subgroup has the members of that group
// only, and they are in all groups of the project there.
func (c *call) projectGroups(m testbed.Row) []testbed.Row {
	if c.who.pid == c.who.gid {
		return c.sameGroup(m)
	}
	if !m.Is("gid", c.who.gid) {
		return nil
	}
	return slices.Collect(c.db.Where("groups", "pid", m.Text("pid")))
}

// seatsIn joins memberships with users and groups; fit has the last word.
func (c *call) seatsIn(memberships iter.Seq[testbed.Row], groups groupsOf, fit func(seat) bool) []seat {
	var list []seat
	for m := range memberships {
		if !trusted(m) {
			continue
		}
		for u := range c.db.Where("users", "uid_idx", m.Text("uid_idx")) {
			if !u.Is("status", "active") {
				continue
			}
			for _, g := range groups(m) {
				if s := (seat{u, g, m.Text("trust")}); fit(s) {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// trusted: NULL is no trust either.
func trusted(membership testbed.Row) bool {
	return membership.Value("trust") != nil && !membership.Is("trust", "none")
}

// keptApart: where the site keeps admins and others apart, a node has only
// users of its swapper's kind.
func (c *call) keptApart(u testbed.Row) bool {
	if !c.site.IsolateAdmins {
		return true
	}
	swapper := c.db.First("users", "uid_idx", c.who.expt.Text("swapper_idx"))
	return u.Value("admin") != nil && u.Int("admin") == swapper.Int("admin")
}
