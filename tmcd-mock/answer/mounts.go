package answer

import (
	"slices"
	"strings"

	"emujail/protocol"
)

// mounts tells which directories a node shares with the file server.
func (c *call) mounts() {
	if !c.who.local {
		return
	}
	m := protocol.Mounts{FSType: "NFS", Transport: c.nfsTransport()}
	if c.site.NoSharedFS || c.who.mounts == "none" {
		m.FSType, m.Transport = "LOCAL", ""
	}
	fs, local := c.site.FSDirs, c.site.LocalDirs
	add := func(remote, path string) {
		mount := protocol.Mount{Local: path}
		if m.FSType != "LOCAL" {
			mount.Remote = c.site.FS + ":" + remote
		}
		m.Mounts = append(m.Mounts, mount)
	}
	if c.who.sharedHost() {
		add(fs.Users, local.Users)
		add(fs.Share, local.Share)
		add(fs.Proj, local.Proj)
		add(fs.Groups, local.Groups)
		c.reply(m)
		return
	}
	pid, gid := c.who.pid, c.who.gid
	add(fs.Proj+"/"+pid, local.Proj+"/"+pid)
	if !strings.EqualFold(pid, gid) {
		add(fs.Groups+"/"+pid+"/"+gid, local.Groups+"/"+pid+"/"+gid)
	}
	if fs.Share != "" {
		add(fs.Share, local.Share)
	}
	if c.who.mounts != "genidefault" && !c.who.tainted("blackbox") {
		for _, uid := range c.members() {
			add(fs.Users+"/"+uid, local.Users+"/"+uid)
		}
	}
	c.reply(m)
}

func (c *call) nfsTransport() string {
	switch strings.ToLower(c.db.SiteVar("node/nfs_transport")) {
	case "tcp":
		return "TCP"
	case "osdefault":
		return "osdefault"
	}
	return "UDP"
}

// members are the active users of the experiment's group, sorted.
func (c *call) members() []string {
	var list []string
	for m := range c.db.Where("group_membership", "pid", c.who.pid) {
		u := c.db.First("users", "uid", m.Text("uid"))
		if m.Is("gid", c.who.gid) && !m.Is("trust", "none") && c.mayLogIn(u, false) {
			list = append(list, u.Text("uid"))
		}
	}
	slices.SortFunc(list, collate)
	return list
}
