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
	for r := range c.rowsByName("reserved") {
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

func (c *call) nodeAttributes() {
	var list protocol.NodeAttributes
	for r := range c.ofNode("virt_node_attributes", "vname") {
		list = append(list, protocol.Attribute{Key: r.Text("attrkey"), Value: r.Text("attrvalue")})
	}
	c.reply(list)
}

func (c *call) disks() {
	for r := range c.ofNode("virt_node_disks", "vname") {
		c.linef("DISK DISKNAME=%s DISKTYPE='%s' DISKSIZE='%s' MOUNTPOINT='%s' PARAMETERS='%s' COMMAND='%s'",
			r.Text("diskname"), r.Text("disktype"), r.Text("disksize"), r.Text("mountpoint"), r.Text("parameters"), r.Text("command"))
	}
}

func (c *call) localization() {
	if key := c.db.SiteVar("node/ssh_pubkey"); key != "" {
		c.reply(protocol.RootPubKeys{key})
	}
}

// ofNode are the rows of the experiment that name this node.
func (c *call) ofNode(table, column string) func(func(testbed.Row) bool) {
	return func(yield func(testbed.Row) bool) {
		if c.who.exptidx == "" {
			return
		}
		for r := range c.db.Where(table, "exptidx", c.who.exptidx) {
			if r.Is(column, c.who.nickname) && !yield(r) {
				return
			}
		}
	}
}

// control is the row of a node's control interface, the first if there are
// several.
func control(db *testbed.DB, node string) testbed.Row {
	for _, i := range controls(db, node) {
		return i
	}
	return testbed.Row{}
}

// controls are a node's control interfaces, in the order of the table's key.
func controls(db *testbed.DB, node string) []testbed.Row {
	var list []testbed.Row
	for i := range db.Where("interfaces", "node_id", node) {
		if i.Is("role", "ctrl") {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b testbed.Row) int {
		return cmp.Or(cmp.Compare(a.Int("card"), b.Int("card")), cmp.Compare(a.Int("port"), b.Int("port")))
	})
	return list
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

// interfaceMap lists all nodes with the MAC addresses of their interfaces.
func (c *call) interfaceMap() {
	var order []string
	macs := map[string]string{}
	for i := range c.db.Rows("interfaces") {
		node := i.Text("node_id")
		if c.db.First("nodes", "node_id", node).Is("role", "ctrlnode") {
			continue
		}
		if _, seen := macs[node]; !seen {
			order = append(order, node)
		}
		macs[node] += " " + i.Text("mac")
	}
	for _, node := range order {
		c.linef("%s%s", node, macs[node])
	}
}

// hwInfo says what hardware the database expects.
func (c *call) hwInfo() {
	if c.who.vnode || !c.who.allocated() {
		return
	}
	attr := map[string]string{}
	for a := range c.db.Where("node_type_attributes", "type", c.who.node.Text("type")) {
		attr[a.Text("attrkey")] = a.Text("attrvalue")
	}
	for a := range c.db.Where("node_attributes", "node_id", c.who.id) {
		attr[a.Text("attrkey")] = a.Text("attrvalue")
	}
	c.linef(`TESTINFO LOGDIR="" COLLECT=0 CHECK=0`)
	if attr["hw_cpu_sockets"] != "" {
		c.linef("CPUINFO SOCKETS=%s CORES=%s THREADS=%s SPEED=%s BITS=%s HV=%s", attr["hw_cpu_sockets"],
			attr["hw_cpu_cores"], attr["hw_cpu_threads"], attr["hw_cpu_speed"], attr["hw_cpu_bits"], attr["hw_cpu_hv"])
	}
	if attr["hw_mem_size"] != "" {
		c.linef("MEMINFO SIZE=%s", attr["hw_mem_size"])
	}
	var macs []string
	for i := range c.db.Where("interfaces", "node_id", c.who.id) {
		macs = append(macs, i.Text("mac"))
	}
	c.linef("NETINFO UNITS=%d", len(macs))
	for _, mac := range macs {
		c.linef(`NETUNIT TYPE="ETH" ID="%s"`, mac)
	}
}

// tipTunnels are consoles that this node may reach.
func (c *call) tipTunnels() {
	for t := range c.ofNode("virt_tiptunnels", "host") {
		name := t.Text("vnode")
		for r := range c.db.Where("reserved", "exptidx", c.who.exptidx) {
			if !r.Is("vname", name) {
				continue
			}
			for l := range c.db.Where("tiplines", "node_id", r.Text("node_id")) {
				c.linef("VNODE=%s SERVER=%s PORT=%s KEYLEN=%s KEY=%s", name, l.Text("server"), l.Text("portnum"),
					l.Text("keylen"), l.Text("keydata"))
			}
		}
	}
}

// emulabConfig is for experiments that are an Emulab themselves.
func (c *call) emulabConfig() {
	if !c.who.expt.Bool("elab_in_elab") {
		return
	}
	role := func(r testbed.Row) string { return r.Text("inner_elab_role") }
	c.linef("ROLE=%s", role(c.who.reserved))
	for _, part := range []struct{ role, tag string }{{"boss", "BOSS"}, {"boss+router", "BOSS"}, {"ops", "OPS"}, {"ops+fs", "OPS"}, {"fs", "FS"}} {
		for r := range c.db.Where("reserved", "exptidx", c.who.exptidx) {
			if role(r) != part.role {
				continue
			}
			for l := range c.db.Where("virt_lans", "exptidx", c.who.exptidx) {
				if l.Is("vnode", r.Text("vname")) {
					c.linef("%sNODE=%s", part.tag, r.Text("vname"))
					c.linef("%sIP=%s", part.tag, l.Text("ip"))
				}
			}
		}
	}
	for _, attr := range []string{"BOSS_PKG", "BOSS_PKG_DIR", "OPS_PKG", "OPS_PKG_DIR"} {
		c.linef("%s=%s", attr, c.who.expt.Text("elabinelab_"+attr))
	}
	c.linef("WINSUPPORT=1")
	c.linef("SINGLE_CONTROLNET=%d", c.who.expt.Int("elabinelab_singlenet"))
}
