package answer

import (
	"fmt"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// hwInfo says what hardware the database expects.
func (c *call) hwInfo() {
	if c.who.vnode || !c.who.allocated() {
		return
	}
	collect, dir := testbed.Atoi(c.db.SiteVar("nodecheck/collect")), ""
	if collect != 0 {
		dir = "/proj/" + c.who.pid + "/nodecheck"
	}
	c.linef(`TESTINFO LOGDIR="%s" COLLECT=%d CHECK=%d`, dir, collect, testbed.Atoi(c.db.SiteVar("nodecheck/check")))
	c.hwProcessor()
	c.hwDisks()
	c.hwNetwork()
}

// hwProcessor: of the type, or of the node itself.
func (c *call) hwProcessor() {
	known, attr := false, map[string]int{}
	note := func(a testbed.Row) {
		key := a.Text("attrkey")
		if len(key) < 3 || !strings.EqualFold(key[:2], "hw") {
			return
		}
		known = true
		if a.Has("attrvalue") {
			attr[key[3:]] = a.Int("attrvalue")
		}
	}
	for a := range c.db.Where("node_type_attributes", "type", c.who.node.Text("type")) {
		note(a)
	}
	for a := range c.db.Where("node_attributes", "node_id", c.who.id) {
		note(a)
	}
	if !known {
		return
	}
	line := "CPUINFO"
	for _, word := range []string{"sockets", "cores", "threads", "speed", "bits", "hv"} {
		if n, ok := attr["cpu_"+word]; ok && n >= 0 {
			line += fmt.Sprintf(" %s=%d", strings.ToUpper(word), n)
		}
	}
	c.linef("%s", line)
	if n, ok := attr["mem_size"]; ok && n >= 0 {
		c.linef("MEMINFO SIZE=%d", n)
	}
}

// hwDisks: the elements of storage that have a serial number, and whose type
// has a protocol.
func (c *call) hwDisks() {
	var lines []string
	for bs := range c.where("blockstores", "node_id", c.who.id, "role", "element") {
		for t := range c.where("blockstore_type_attributes", "type", bs.Text("type"), "attrkey", "protocol") {
			for a := range c.where("blockstore_attributes", "bsidx", bs.Text("bsidx"), "attrkey", "serialnum") {
				lines = append(lines, diskUnit(bs, a.Text("attrvalue"), t.Text("attrvalue")))
			}
		}
	}
	if len(lines) > 0 {
		c.linef("DISKINFO UNITS=%d", len(lines))
	}
	for _, line := range lines {
		c.linef("%s", line)
	}
}

// diskUnit has its size in MB, where the database has MiB.
func diskUnit(bs testbed.Row, serial, protocol string) string {
	line := "DISKUNIT"
	if serial != "" {
		line += fmt.Sprintf(` SN="%s"`, serial)
	}
	if protocol != "" {
		line += fmt.Sprintf(` TYPE="%s"`, protocol)
	}
	line += " SECSIZE=512"
	if bs.Has("total_size") {
		line += fmt.Sprintf(" SIZE=%d", bs.Int("total_size")*(1<<20)/1000000)
	}
	return line
}

// hwNetwork: interfaces that an OS sees, without InfiniBand.
func (c *call) hwNetwork() {
	var macs []string
	for _, i := range sorted(c.db.Where("interfaces", "node_id", c.who.id), "card") {
		mac := i.Text("mac")
		if i.Value("role") != nil && !i.Is("role", "mngmnt") && i.Value("guid") == nil && i.Value("mac") != nil && !strings.HasPrefix(mac, "000000") {
			macs = append(macs, mac)
		}
	}
	if len(macs) > 0 {
		c.linef("NETINFO UNITS=%d", len(macs))
	}
	for _, mac := range macs {
		if mac == "" {
			c.out = append(c.out, "NETUNIT"...) // as ever without its end
			continue
		}
		c.linef(`NETUNIT TYPE="ETH" ID="%s"`, mac)
	}
}
