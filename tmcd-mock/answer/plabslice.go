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

// sliceConfig is what a slice is told: its ports, and the address of its host.
func (c *call) sliceConfig() {
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
