package answer

import (
	"net/netip"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// jailConfig is what a jail may and should be (docs/spec/protocol.md §6).
func (c *call) jailConfig() {
	if !c.who.vnode {
		return
	}
	j := protocol.JailConfig{EventServer: c.site.EventServer}
	if !c.who.jailed {
		if c.who.geni { // a sliver without a jail of its own
			c.reply(j)
		}
		return
	}
	node := c.who.node
	c.jailAddress(&j)
	j.PortLow, j.PortHigh = 0, 65535
	if r := c.db.First("ipport_ranges", "exptidx", c.who.exptidx); !r.IsZero() {
		j.PortLow, j.PortHigh = r.Int("low"), r.Int("high")
	}
	j.SSHDPort = node.Int("sshdport")
	j.SysVIPC, j.InetRaw, j.BPFRO, j.InAddrAny, j.IPFW, j.IPDivert = true, true, true, true, true, true
	j.Routing, j.DevMem = c.who.local, c.who.local
	j.ElabInElab = c.who.expt.Bool("elab_in_elab")
	j.VDSize = c.hostAttribute("virtnode_disksize")
	for a := range c.db.Where("node_attributes", "node_id", c.who.id) {
		if a.Is("attrkey", "root_password") && a.Has("attrvalue") {
			j.RootHash = c.crypt(a.Text("attrvalue"))
		}
	}
	for l := range c.ofNode("virt_lans", "vnode") {
		if ip, err := netip.ParseAddr(l.Text("ip")); err == nil {
			j.IPAddrs = append(j.IPAddrs, ip)
		}
	}
	j.ImageName = c.imageName()
	c.reply(j)
}

// jailAddress: of the vnode's own control interface, else of its row.
func (c *call) jailAddress(j *protocol.JailConfig) {
	ip, mask := c.who.node.Text("jailip"), c.who.node.Text("jailipmask")
	fallback := c.site.JailMask
	if i := control(c.db, c.who.id); !i.IsZero() && i.Has("IP") {
		ip, mask, fallback = i.Text("IP"), i.Text("mask"), c.site.ControlMask
		if mac := i.Text("mac"); mac != "000000000000" {
			j.CtrlMAC = mac
		}
	}
	if mask == "" {
		mask = fallback
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return
	}
	j.JailIP = a
	if m, err := netip.ParseAddr(mask); err == nil {
		j.JailMask = m
	}
}

// hostAttribute is an attribute of the host's type, else of the host itself.
func (c *call) hostAttribute(key string) string {
	if v := attribute(c.db.Where("node_type_attributes", "type", c.who.phys.Text("type")), key); v != "" {
		return v
	}
	return attribute(c.db.Where("node_attributes", "node_id", c.who.host), key)
}

func attribute(rows func(func(testbed.Row) bool), key string) string {
	for r := range rows {
		if r.Is("attrkey", key) {
			return r.Text("attrvalue")
		}
	}
	return ""
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

// imageName is pid,gid,name:version of what is on the node's first partition;
// "" if that is unknown.
func (c *call) imageName() string {
	img := c.image()
	if img.IsZero() {
		return ""
	}
	name := strings.Join([]string{img.Text("pid"), img.Text("gid"), img.Text("imagename")}, ",")
	if c.site.ImageProvenance {
		name += ":" + img.Text("version")
	}
	return name
}
