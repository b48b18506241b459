package answer

import (
	"fmt"
	"iter"

	"emujail/tmcd-mock/testbed"
)

// PlanetLab: a vnode may be a slice on a host that others run, and the slice of
// an experiment may be the service slice, which speaks for the whole host.

// ownType is the type of the node itself; asker.kind is that of its host.
func (c *call) ownType() testbed.Row {
	return c.db.First("node_types", "type", c.who.node.Text("type"))
}

func (c *call) inPlabSlice() bool { return c.who.vnode && c.ownType().Bool("isplabdslice") }

func (c *call) inPlabService() bool { return c.who.vnode && c.sliceRow().Bool("admin") }

// sliceRow is the slice that the experiment is.
func (c *call) sliceRow() testbed.Row {
	for s := range c.named("plab_slices") {
		return s
	}
	return testbed.Row{}
}

// named are the rows of the asker's experiment by its name, in tables
// that are filled without the experiment's number.
func (c *call) named(table string) iter.Seq[testbed.Row] {
	return func(yield func(testbed.Row) bool) {
		if !c.who.allocated() {
			return
		}
		for r := range c.db.Where(table, "eid", c.who.eid) {
			if r.Is("pid", c.who.pid) && !yield(r) {
				return
			}
		}
	}
}

// sliceConfig is what a slice is told: its ports, and the address of its host.
func (c *call) sliceConfig() {
	if !c.inPlabSlice() {
		return
	}
	line := ""
	if i := control(c.db, c.who.host); c.who.allocated() && !i.IsZero() {
		line = fmt.Sprintf("SSHDPORT=%d SVCSLICE=%d IPADDR=%s ", c.who.node.Int("sshdport"), c.sliceRow().Int("admin"), i.Text("IP"))
	}
	const elvin = 2917 // when the host told of no other
	port := elvin
	for a := range c.db.Where("node_attributes", "node_id", c.who.host) {
		if a.Is("attrkey", "elvind_port") {
			port = a.Int("attrvalue")
			break
		}
	}
	c.linef("%sELVIND_PORT=%d ", line, port)
}
