package answer

import (
	"strconv"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// The kinds of thing that a node can boot.
const (
	bootNothing   = 0 // an entry that names nothing to boot
	bootPartition = 1
	bootMultiboot = 3
	bootWait      = 4
	bootReboot    = 5
	bootMFS       = 7
	bootOtherDisk = 9 // a partition of another disk than the first
)

// bootSecure is the flag of a boot chain that a TPM watches.
const bootSecure = 2

// booting is what a node is to boot.
type booting struct {
	kind, flags   int
	what, cmdline string
}

// bootWhat says what to boot: the next, else the temporary, else the default OS.
func (c *call) bootWhat() {
	b := c.booting()
	line := "STATUS=success TYPE=" + strconv.Itoa(b.kind)
	if c.version >= 35 {
		line += " FLAGS=" + strconv.Itoa(b.flags)
	}
	if b.what != "" && (b.kind == bootPartition || b.kind == bootMFS) {
		line += " WHAT=" + b.what
	}
	const maxCmdline = 223
	if b.cmdline != "" {
		line += " CMDLINE='" + b.cmdline[:min(len(b.cmdline), maxCmdline)] + "'"
	}
	c.linef("%s", line)
}

func (c *call) booting() booting {
	node := c.bootNode()
	if node.IsZero() {
		return c.newNode()
	}
	if c.db.First("reserved", "node_id", node.Text("node_id")).IsZero() {
		return booting{kind: bootWait}
	}
	if path := node.Text("pxe_boot_path"); path != "" && !strings.Contains(path, "pxeboot") {
		return booting{kind: bootReboot}
	}
	for _, which := range []string{"next", "temp", "def"} {
		if !node.Has(which + "_boot_osid") {
			continue
		}
		b := c.bootOS(node, node.Text(which+"_boot_osid"))
		if line := node.Text(which + "_boot_cmd_line"); line != "" && which != "temp" {
			b.cmdline = line
		}
		if b.kind == bootMFS && b.flags&bootSecure != 0 && !c.who.vnode && node.Text("op_mode") == "PXEKERNEL" {
			b.kind = bootReboot
		}
		return b
	}
	return booting{kind: bootWait}
}

// bootNode is the node to boot: a vnode by its name, others by their key or
// their address, whatever interface has it. Some types boot without being told.
func (c *call) bootNode() testbed.Row {
	told := func(node testbed.Row) bool {
		silent, _ := typeAttr(c.db, node.Text("type"), "nobootinfo")
		return silent != "1"
	}
	switch {
	case c.who.vnode && told(c.who.node):
		return c.who.node
	case c.who.vnode:
	case c.q.Request.PrivKey != "":
		for key := range c.db.Where("widearea_nodeinfo", "privkey", c.q.Request.PrivKey) {
			if node := c.db.First("nodes", "node_id", key.Text("node_id")); !node.IsZero() && told(node) {
				return node
			}
		}
	default:
		for i := range c.db.Where("interfaces", "IP", c.client().String()) {
			if node := c.db.First("nodes", "node_id", i.Text("node_id")); !node.IsZero() && told(node) {
				return node
			}
		}
	}
	return testbed.Row{}
}

// newNode boots what nodes boot that nobody knows yet.
func (c *call) newNode() booting {
	var paths []string
	for o := range c.where("os_info", "osname", "NEWNODE-MFS", "pid", opsProject) {
		for v := range c.where("os_info_versions", "osid", o.Text("osid"), "vers", o.Text("version"), "mfs", "1") {
			paths = append(paths, v.Text("path"))
		}
	}
	if len(paths) != 1 || paths[0] == "" {
		return booting{}
	}
	b := booting{kind: bootMFS}
	b.what, b.cmdline, _ = strings.Cut(paths[0], " ")
	return b
}

// bootOS is how a node boots an OS: from the path of its current version, or
// from the first partition that has it.
func (c *call) bootOS(node testbed.Row, osid string) booting {
	os := c.currentOS(osid)
	if path := os.Text("path"); path != "" {
		if os.Int("mfs") != 1 {
			return booting{kind: bootMultiboot}
		}
		b := booting{kind: bootMFS}
		b.what, b.cmdline, _ = strings.Cut(path, " ")
		if strings.Contains(os.Text("osfeatures"), "ontrustedboot") {
			b.flags = bootSecure
		}
		return b
	}
	has := sorted(c.where("partitions", "node_id", node.Text("node_id"), "osid", osid), "partition")
	switch {
	case len(has) == 0 || !has[0].Has("partition"):
		return booting{kind: bootNothing}
	case c.otherDisk(node):
		return booting{kind: bootOtherDisk}
	}
	return booting{kind: bootPartition, what: strconv.Itoa(has[0].Int("partition"))}
}

// otherDisk: the disk to boot from has a number in the BIOS. It is known of
// nodes that are found by their address only.
func (c *call) otherDisk(node testbed.Row) bool {
	if c.who.vnode || c.q.Request.PrivKey != "" {
		return false
	}
	const key = "bootdisk_bios_id"
	number, ok := nodeAttr(c.db, node.Text("node_id"), key)
	if !ok {
		number, _ = typeAttr(c.db, node.Text("type"), key)
	}
	return testbed.Atoi(number) != 0
}

// currentOS is the version of an OS that its os_info row names.
func (c *call) currentOS(osid string) testbed.Row {
	if osid == "" {
		return testbed.Row{}
	}
	o := c.db.First("os_info", "osid", osid)
	return first(c.where("os_info_versions", "osid", osid, "vers", o.Text("version")))
}
