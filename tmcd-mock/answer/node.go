package answer

import (
	"slices"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

func (c *call) status() {
	if !c.who.allocated() {
		c.reply(protocol.Status{Free: true})
		return
	}
	c.reply(protocol.Status{PID: c.who.pid, EID: c.who.eid, NickName: c.who.nickname})
}

// vnodeList lists the vnodes that live on this host and are in an experiment:
// none for a vnode, as nothing lives on one.
func (c *call) vnodeList() {
	for n := range c.db.Where("nodes", "phys_nodeid", c.who.id) {
		kind := c.db.First("node_types", "type", n.Text("type"))
		if !kind.Is("isvirtnode", "1") || c.db.First("reserved", "node_id", n.Text("node_id")).IsZero() {
			continue
		}
		if c.version <= 6 {
			c.linef("%s", n.Text("node_id"))
		} else {
			c.linef("VNODEID=%s JAILED=%s", n.Text("node_id"), n.Text("jailflag"))
		}
	}
}

func (c *call) creator() {
	if c.version <= 20 {
		c.linef("CREATOR=%s", c.who.creator)
		return
	}
	c.linef("CREATOR=%s SWAPPER=%s", c.who.creator, c.who.swapper)
}

// readyCount counts all nodes of the experiment, vnodes included.
func (c *call) readyCount() {
	if c.who.vnode {
		return
	}
	var count protocol.ReadyCount
	for r := range c.ofExperiment("reserved") {
		count.Total++
		if c.db.First("nodes", "node_id", r.Text("node_id")).Bool("ready") {
			count.Ready++
		}
	}
	c.reply(count)
}

func (c *call) syncServer() {
	name := c.who.expt.Text("sync_server")
	if name == "" {
		return
	}
	c.reply(protocol.SyncServer{
		Server:   name + "." + c.who.eid + "." + c.who.pid + "." + c.site.Domain,
		IsServer: name == c.who.nickname,
	})
}

func (c *call) disks() {
	for r := range c.ofNode("virt_node_disks", "vname") {
		c.linef("DISK DISKNAME=%s DISKTYPE='%s' DISKSIZE='%s' MOUNTPOINT='%s' PARAMETERS='%s' COMMAND='%s'",
			r.Text("diskname"), r.Text("disktype"), r.Text("disksize"), r.Text("mountpoint"), r.Text("parameters"), r.Text("command"))
	}
}

func (c *call) localization() {
	if key := c.db.First("sitevariables", "name", "node/ssh_pubkey"); key.Value("value") != nil {
		c.linef("ROOTPUBKEY='%s'", key.Text("value"))
	}
}

// nodeAttributes are what the experiment wants of the node. A Xen host that
// the site lets route is told so too, as the mapper adds such hosts.
func (c *call) nodeAttributes() {
	if !c.who.allocated() {
		return
	}
	for r := range c.ofNode("virt_node_attributes", "vname") {
		if r.Has("attrkey") && r.Value("attrvalue") != nil {
			c.linef(`%s="%s"`, r.Text("attrkey"), r.Text("attrvalue"))
		}
	}
	if c.xenHost(c.who.node) && c.siteValue("general/xenvifrouting") != "" {
		c.linef("xenvifrouting=1")
	}
}

// interfaceMap lists the nodes whose names begin with pc, with the MAC
// addresses of their interfaces. Names are told apart by 8 characters.
func (c *call) interfaceMap() {
	pc := func(i testbed.Row) bool { return strings.HasPrefix(strings.ToLower(i.Text("node_id")), "pc") }
	rows := slices.SortedStableFunc(filter(c.db.Rows("interfaces"), pc), func(a, b testbed.Row) int {
		return collate(a.Text("node_id"), b.Text("node_id"))
	})
	short := func(i testbed.Row) string { return i.Text("node_id")[:min(len(i.Text("node_id")), 8)] }
	for at, i := range rows {
		switch {
		case at == 0:
			c.out = append(c.out, i.Text("node_id")...)
		case short(i) != short(rows[at-1]):
			c.out = append(append(c.out, '\n'), i.Text("node_id")...)
		}
		c.out = append(append(c.out, ' '), i.Text("mac")...)
	}
	if len(rows) > 0 {
		c.out = append(c.out, '\n')
	}
}

// topologyMap sends a file of the experiment as it is.
func (c *call) topologyMap(name string) {
	path := "expwork/" + c.who.pid + "/" + c.who.eid + "/" + name + ".gz"
	b, ok := c.db.File(path)
	if !ok {
		c.refuse("there is no file %s", path)
		return
	}
	c.out = append(c.out, b...)
}
