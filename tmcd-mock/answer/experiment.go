package answer

func (c *call) userEnv() {
	for _, r := range sorted(c.ofExperiment("virt_user_environment"), "idx") {
		c.linef("%s=%s", r.Text("name"), r.Text("value"))
	}
}

// tipTunnels are consoles that this node may reach.
func (c *call) tipTunnels() {
	for t := range c.ofExperiment("virt_tiptunnels", "host", c.who.nickname) {
		name := t.Text("vnode")
		for r := range c.ofExperiment("reserved", "vname", name) {
			for l := range c.db.Where("tiplines", "node_id", r.Text("node_id")) {
				if l.Value("server") != nil {
					c.linef("VNODE=%s SERVER=%s PORT=%s KEYLEN=%s KEY=%s", name, l.Text("server"), l.Text("portnum"),
						l.Text("keylen"), l.Text("keydata"))
				}
			}
		}
	}
}

// pnetNodeAttrs are what PhantomNet wants to know of the experiment's nodes.
func (c *call) pnetNodeAttrs() {
	for r := range c.ofExperiment("reserved") {
		for a := range c.db.Where("node_attributes", "node_id", r.Text("node_id")) {
			if (a.Is("attrkey", "sim_imsi") || a.Is("attrkey", "sim_sequence_number")) && a.Has("attrvalue") {
				c.linef("NODE_ID=%s KEY=%s VALUE=%s", a.Text("node_id"), a.Text("attrkey"), a.Text("attrvalue"))
			}
		}
	}
}
