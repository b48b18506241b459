package answer

// moteLog names the files that say how to read a mote's log.
func (c *call) moteLog() {
	for v := range c.ofExperiment("virt_node_motelog", "vname", c.who.nickname) {
		for _, f := range orNone(c.where("motelogfiles", "logfileid", v.Text("logfileid"), "pid", v.Text("pid"))) {
			c.linef("MOTELOGID=%s CLASSFILE=%s SPECFILE=%s", v.Text("logfileid"), f.Text("classfilepath"), f.Text("specfilepath"))
		}
	}
}
