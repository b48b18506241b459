package answer

import (
	"fmt"

	"emujail/tmcd-mock/testbed"
)

// PlanetLab: a vnode may be a slice on a host that others run, and the slice of
// an experiment may be the service slice, which speaks for the whole host.

func (c *call) inPlabService() bool { return c.who.vnode && c.sliceRow().Bool("admin") }

// sliceRow is the slice that the experiment is.
func (c *call) sliceRow() testbed.Row {
	return first(c.ofExperiment("plab_slices"))
}

// plabConfig is what a slice is told: its ports, and the address of its host.
func (c *call) plabConfig() {
	if !c.plabSlice() {
		return
	}
	line := ""
	if i := control(c.db, c.who.host); c.who.allocated() && !i.IsZero() {
		line = fmt.Sprintf("SSHDPORT=%d SVCSLICE=%d IPADDR=%s ", c.who.node.Int("sshdport"), c.sliceRow().Int("admin"), i.Text("IP"))
	}
	const elvin = 2917 // when the host told of no other
	port := elvin
	if told, ok := nodeAttr(c.db, c.who.host, "elvind_port"); ok {
		port = testbed.Atoi(told)
	}
	c.linef("%sELVIND_PORT=%d ", line, port)
}

// plabEventKeys gives the service slice of a PlanetLab node the keys of the
// experiments on it.
func (c *call) plabEventKeys() {
	if !c.inPlabService() {
		c.refuse("%s is no service slice of PlanetLab", c.who.id)
		return
	}
	for node := range c.db.Where("nodes", "phys_nodeid", c.who.host) {
		r := c.db.First("reserved", "node_id", node.Text("node_id"))
		if r.IsZero() {
			continue
		}
		e := experiment(c.db, r)
		c.linef("PID=%s EID=%s KEY=%s", e.Text("pid"), e.Text("eid"), e.Text("eventkey"))
	}
}
