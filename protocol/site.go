package protocol

import "errors"

// NTPInfo is the reply to ntpinfo: whom the node's clock follows.
type NTPInfo struct {
	Sources []NTPSource
	Drift   string // last known; may be empty
}

// NTPSource is a SERVER or PEER line.
type NTPSource struct {
	Host string
	Peer bool
}

// ParseNTPInfo reads the reply to ntpinfo.
func ParseNTPInfo(b []byte) (NTPInfo, error) {
	var n NTPInfo
	err := eachRecord(b, func(c *codec) error {
		if c.tag != "" || len(c.words) != 1 {
			return errors.New("one KEY=VALUE was expected")
		}
		switch key, value := c.words[0].key, c.line[c.words[0].start:]; key {
		case "SERVER", "PEER":
			n.Sources = append(n.Sources, NTPSource{Host: value, Peer: key == "PEER"})
		case "DRIFT":
			n.Drift = value
		default:
			return unexpected(key)
		}
		return nil
	})
	return n, err
}

// Append renders the reply.
func (n NTPInfo) Append(dst []byte, _ int) []byte {
	a := assignments{dst}
	for _, s := range n.Sources {
		key := "SERVER"
		if s.Peer {
			key = "PEER"
		}
		a.key(key).text(s.Host).line()
	}
	a.plain("DRIFT", n.Drift)
	return a.dst
}

// IPODInfo is the reply to ipodinfo: who may reboot the node by an ICMP packet
// ("ping of death"). The zero value is an empty reply.
type IPODInfo struct {
	Host  string // address
	Mask  string
	Hash  string // 32 hexadecimal digits, new each time
	Extra Extra
}

// ParseIPODInfo reads the reply to ipodinfo.
func ParseIPODInfo(b []byte) (IPODInfo, error) { return parseRecord[IPODInfo](b, "") }

func (i *IPODInfo) fields(c *codec) {
	c.must("HOST", "HASH")
	c.text("HOST", &i.Host)
	c.text("MASK", &i.Mask)
	c.text("HASH", &i.Hash)
	c.extra(&i.Extra)
}

// Append renders the reply.
func (i IPODInfo) Append(dst []byte, version int) []byte {
	if i.Host == "" {
		return dst
	}
	return appendRecord(dst, version, "", &i)
}

// ServiceInfo is the reply to serviceinfo: which machine runs a service of the
// testbed. The zero value is an empty reply.
type ServiceInfo struct {
	TFTP, DHCP, Frisbee, PubSub string
	Extra                       Extra
}

// ParseServiceInfo reads the reply to serviceinfo.
func ParseServiceInfo(b []byte) (ServiceInfo, error) { return parseRecord[ServiceInfo](b, "") }

func (s *ServiceInfo) fields(c *codec) {
	c.text("TFTP", &s.TFTP)
	c.text("DHCP", &s.DHCP)
	c.text("FRISBEE", &s.Frisbee)
	c.text("PUBSUB", &s.PubSub)
	c.extra(&s.Extra)
}

// Append renders the reply.
func (s ServiceInfo) Append(dst []byte, version int) []byte {
	if s.TFTP == "" && s.DHCP == "" && s.Frisbee == "" && s.PubSub == "" && s.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "", &s)
}

// TipTunnels is the reply to tiptunnels: consoles of other nodes to reach from
// this one.
type TipTunnels []TipTunnel

// TipTunnel is a line of TipTunnels.
type TipTunnel struct {
	VNode  string
	Server string // full name
	Port   int
	KeyLen int // digits
	Key    string
	Extra  Extra
}

// ParseTipTunnels reads the reply to tiptunnels.
func ParseTipTunnels(b []byte) (TipTunnels, error) { return parseRecords[TipTunnel](b, "") }

func (t *TipTunnel) fields(c *codec) {
	c.need("VNODE", "SERVER", "PORT")
	c.text("VNODE", &t.VNode)
	c.text("SERVER", &t.Server)
	c.number("PORT", &t.Port)
	c.number("KEYLEN", &t.KeyLen)
	c.text("KEY", &t.Key)
	c.extra(&t.Extra)
}

// Append renders the reply.
func (t TipTunnels) Append(dst []byte, version int) []byte {
	return appendRecords[TipTunnel](dst, version, "", t)
}

// Disks is the reply to disks: disks for the disk agent to make.
type Disks []Disk

// Disk is a line of Disks.
type Disk struct {
	Name       string
	Type       string
	Size       string
	MountPoint string
	Parameters string
	Command    string
	Extra      Extra
}

// ParseDisks reads the reply to disks.
func ParseDisks(b []byte) (Disks, error) { return parseRecords[Disk](b, "DISK") }

func (d *Disk) fields(c *codec) {
	c.need("DISKNAME")
	c.text("DISKNAME", &d.Name)
	c.quoted("DISKTYPE", '\'', &d.Type)
	c.quoted("DISKSIZE", '\'', &d.Size)
	c.quoted("MOUNTPOINT", '\'', &d.MountPoint)
	c.quoted("PARAMETERS", '\'', &d.Parameters)
	c.free("COMMAND", '\'', &d.Command)
	c.extra(&d.Extra)
}

// Append renders the reply.
func (d Disks) Append(dst []byte, version int) []byte {
	return appendRecords[Disk](dst, version, "DISK", d)
}
