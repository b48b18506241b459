package answer

import (
	"cmp"
	"net/netip"
	"strings"
)

// jailConfig is what a jail may and should be (docs/spec/protocol.md §6).
func (c *call) jailConfig() {
	if !c.who.vnode {
		return
	}
	if !c.who.jailed {
		if c.who.geni { // a sliver without a jail of its own
			c.linef(`EVENTSERVER="%s"`, c.site.EventServer)
		}
		return
	}
	if ip, mask := c.jailAddress(); ip != "" {
		c.linef(`JAILIP="%s,%s"`, ip, mask)
	}
	if mac := control(c.db, c.who.id).Text("mac"); mac != "" && mac != "000000000000" {
		c.linef(`CTRLMAC="%s"`, mac)
	}
	low, high := 0, 65535
	if r := c.db.First("ipport_ranges", "exptidx", c.who.exptidx); !r.IsZero() {
		low, high = r.Int("low"), r.Int("high")
	}
	c.linef(`PORTRANGE="%d,%d"`, low, high)
	c.linef("SSHDPORT=%d", c.who.node.Int("sshdport"))
	for _, permission := range []string{"SYSVIPC", "INETRAW", "BPFRO", "INADDRANY", "IPFW", "IPDIVERT"} {
		c.linef("%s=1", permission)
	}
	c.linef("ROUTING=%d\nDEVMEM=%d", digit(c.who.local), digit(c.who.local))
	c.linef("ELABINELAB=%d", digit(c.who.expt.Bool("elab_in_elab")))
	c.linef(`EVENTSERVER="%s"`, c.site.EventServer)
	if size := c.hostAttribute("virtnode_disksize"); size != "" {
		c.linef("VDSIZE=%s", size)
	}
	if password, _ := nodeAttr(c.db, c.who.id, "root_password"); password != "" {
		c.linef("ROOTHASH=%s", c.crypt(password))
	}
	c.linef(`IPADDRS="%s"`, c.jailAddresses())
	if name := c.imageName(); name != "" {
		c.linef(`IMAGENAME="%s"`, name)
	}
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// jailAddress: of the vnode's own control interface, even an empty one, else
// of its row.
func (c *call) jailAddress() (ip, mask string) {
	row, ipColumn, maskColumn, mask := c.who.node, "jailip", "jailipmask", c.site.JailMask
	if i := control(c.db, c.who.id); i.Value("IP") != nil {
		row, ipColumn, maskColumn, mask = i, "IP", "mask", c.site.ControlMask
	}
	if row.Value(maskColumn) != nil {
		mask = row.Text(maskColumn)
	}
	return row.Text(ipColumn), mask
}

// jailAddresses are the vnode's addresses in the experiment. One that is empty
// leaves no comma of its own, so that those at the end leave one.
func (c *call) jailAddresses() string {
	var b strings.Builder
	comma := ""
	for l := range c.ofNode("virt_lans", "vnode") {
		b.WriteString(comma)
		comma = ""
		if ip := l.Text("ip"); ip != "" {
			b.WriteString(ip)
			comma = ","
		}
	}
	return b.String()
}

// hostAttribute is an attribute of the host's type, else of the host itself.
func (c *call) hostAttribute(key string) string {
	common, _ := typeAttr(c.db, c.who.phys.Text("type"), key)
	own, _ := nodeAttr(c.db, c.who.host, key)
	return cmp.Or(common, own)
}

// masked is the network of an address.
func masked(ip, mask string) string {
	a, err := netip.ParseAddr(ip)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return ip
	}
	x, y := a.As4(), m.As4()
	for i := range x {
		x[i] &= y[i]
	}
	return netip.AddrFrom4(x).String()
}

// imageName is pid,gid,name:version of what the node's default OS came from, as
// far as mkvnode of this version understands; "" if that is unknown.
func (c *call) imageName() string {
	img, ok := c.nodeImage()
	if !ok {
		return ""
	}
	name := strings.Join([]string{img.pid, img.gid, img.name}, ",")
	if c.version >= 39 && c.site.ImageProvenance {
		name += ":" + img.version
	}
	return name
}
