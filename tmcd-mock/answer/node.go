package answer

import (
	"cmp"
	"slices"

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

// subNodeList lists what hangs on this node, for clients from version 24 on.
func (c *call) subNodeList() {
	if c.version <= 23 {
		return
	}
	var list protocol.SubNodeList
	for n := range c.db.Where("nodes", "phys_nodeid", c.who.id) {
		kind := c.db.First("node_types", "type", n.Text("type"))
		if kind.Is("issubnode", "1") {
			list = append(list, protocol.SubNode{ID: n.Text("node_id"), Type: kind.Text("class")})
		}
	}
	c.reply(list)
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

// control is the row of a node's control interface, the first if there are
// several.
func control(db *testbed.DB, node string) testbed.Row {
	return first(slices.Values(controls(db, node)))
}

// controls are a node's control interfaces, in the order of the table's key.
func controls(db *testbed.DB, node string) []testbed.Row {
	return slices.SortedStableFunc(where(db, "interfaces", "node_id", node, "role", "ctrl"), func(a, b testbed.Row) int {
		return cmp.Or(cmp.Compare(a.Int("card"), b.Int("card")), cmp.Compare(a.Int("port"), b.Int("port")))
	})
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
