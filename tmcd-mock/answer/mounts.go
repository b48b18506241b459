package answer

import (
	"cmp"
	"slices"
	"strings"

	"emujail/protocol"
)

// mounts tells which directories a node shares with the file server. Local
// directories instead are news of version 32: before it there is nothing.
func (c *call) mounts() {
	if !c.who.local {
		return
	}
	m := protocol.Mounts{FSType: "NFS", Transport: c.nfsTransport()}
	if c.site.NoSharedFS || c.who.mounts == "none" {
		m.FSType, m.Transport = "LOCAL", ""
	}
	add := func(remote, path string) {
		mount := protocol.Mount{Local: path}
		if m.FSType != "LOCAL" {
			mount.Remote = c.site.FS + ":" + remote
		}
		m.Mounts = append(m.Mounts, mount)
	}
	if c.who.sharedHost() {
		c.topMounts(add)
	} else {
		c.experimentMounts(add)
	}
	c.reply(m)
}

// topMounts are whole trees: a shared host carries nodes of any project.
func (c *call) topMounts(add func(remote, path string)) {
	fs, local := c.site.FSDirs, c.site.LocalDirs
	add(fs.Users, local.Users)
	if fs.Share != "" {
		add(fs.Share, local.Share)
	}
	add(fs.Proj, local.Proj)
	add(fs.Groups, local.Groups)
}

func (c *call) experimentMounts(add func(remote, path string)) {
	fs, local := c.site.FSDirs, c.site.LocalDirs
	pid, gid := c.who.pid, c.who.gid
	add(fs.Proj+"/"+pid, local.Proj+"/"+pid)
	if pid != gid {
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
}

// nfsTransport is what the site variable says, if it is one of the known.
func (c *call) nfsTransport() string {
	v := c.db.First("sitevariables", "name", "node/nfs_transport")
	switch strings.ToLower(cmp.Or(v.Text("value"), v.Text("defaultvalue"))) {
	case "tcp":
		return "TCP"
	case "udp":
		return "UDP"
	case "osdefault":
		return "osdefault"
	}
	return ""
}

// members are the active users of the experiment's group, sorted.
func (c *call) members() []string {
	var list []string
	for m := range c.where("group_membership", "pid", c.who.pid, "gid", c.who.gid) {
		if !trusted(m) {
			continue
		}
		for u := range c.db.Where("users", "uid_idx", m.Text("uid_idx")) {
			if u.Is("status", "active") && u.Is("webonly", "0") && c.keptApart(u) {
				list = append(list, u.Text("uid"))
			}
		}
	}
	slices.SortFunc(list, collate)
	return list
}
