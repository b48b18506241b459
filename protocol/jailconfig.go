package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// JailConfig is the reply to jailconfig: one shell assignment a line (jail.md
// §2.4). The zero value is an empty reply: the asker is no jail.
//
// A sliver that is no jail gets EventServer alone; every other reply has a
// PORTRANGE, so PortHigh tells them apart.
type JailConfig struct {
	JailIP   netip.Addr // the jail's own control address; invalid: it shares the host's
	JailMask netip.Addr
	CtrlMAC  string // 12 hexadecimal digits; may be empty

	PortLow, PortHigh int // ports that a jail on a shared address may bind
	SSHDPort          int

	SysVIPC    bool // System V IPC
	InetRaw    bool // raw sockets
	BPFRO      bool // capture packets
	InAddrAny  bool // a wildcard bind means all of the jail's addresses
	IPFW       bool
	IPDivert   bool
	Routing    bool // its own routing table
	DevMem     bool
	ElabInElab bool

	EventServer string
	VDSize      string       // of the disk, GB, a decimal fraction; may be empty
	RootHash    string       // of the jail's root's password, for crypt(3); may be empty
	IPAddrs     []netip.Addr // of the jail's interfaces in its experiment
	ImageName   string       // project,group,name:version; no :version before 39; may be empty
	Extra       []EnvVar     // other assignments, values as they stand
}

// ParseJailConfig reads the reply to jailconfig, and the file of the same name.
// Values may be quoted or not; an empty one is like none.
func ParseJailConfig(b []byte) (JailConfig, error) {
	var j JailConfig
	err := eachLine(b, func(line string) error {
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return errors.New("no KEY=value")
		}
		if err := j.set(key, value); err != nil {
			return fmt.Errorf("%s=: %w", clip(key), err)
		}
		return nil
	})
	return j, err
}

// set takes one assignment.
func (j *JailConfig) set(key, raw string) error {
	value := Word{Raw: raw}.Value()
	if p := j.bool(key); p != nil {
		return setBool(p, value)
	}
	if p := j.string(key); p != nil {
		if strings.ContainsAny(value, "'\"") {
			return errors.New("quote inside the value")
		}
		*p = value
		return nil
	}
	var err error
	switch key {
	case "JAILIP":
		err = j.setAddress(value)
	case "PORTRANGE":
		err = j.setPorts(value)
	case "SSHDPORT":
		j.SSHDPort, err = parsePort(value)
	case "IPADDRS":
		j.IPAddrs, err = parseAddrs(value)
	default:
		j.Extra = append(j.Extra, EnvVar{key, raw})
	}
	return err
}

func (j *JailConfig) bool(key string) *bool {
	switch key {
	case "SYSVIPC":
		return &j.SysVIPC
	case "INETRAW":
		return &j.InetRaw
	case "BPFRO":
		return &j.BPFRO
	case "INADDRANY":
		return &j.InAddrAny
	case "IPFW":
		return &j.IPFW
	case "IPDIVERT":
		return &j.IPDivert
	case "ROUTING":
		return &j.Routing
	case "DEVMEM":
		return &j.DevMem
	case "ELABINELAB":
		return &j.ElabInElab
	}
	return nil
}

func (j *JailConfig) string(key string) *string {
	switch key {
	case "CTRLMAC":
		return &j.CtrlMAC
	case "EVENTSERVER":
		return &j.EventServer
	case "VDSIZE":
		return &j.VDSize
	case "ROOTHASH":
		return &j.RootHash
	case "IMAGENAME":
		return &j.ImageName
	}
	return nil
}

func setBool(p *bool, value string) error {
	switch value {
	case "0", "":
		*p = false
	case "1":
		*p = true
	default:
		return fmt.Errorf("%q is neither 0 nor 1", clip(value))
	}
	return nil
}

func (j *JailConfig) setAddress(value string) (err error) {
	j.JailIP, j.JailMask = netip.Addr{}, netip.Addr{}
	if value == "" {
		return nil
	}
	address, mask, both := strings.Cut(value, ",")
	if j.JailIP, err = parseAddr(address); err != nil || !both {
		return err
	}
	if j.JailMask, err = parseAddr(mask); err != nil {
		j.JailIP = netip.Addr{}
	}
	return err
}

func (j *JailConfig) setPorts(value string) error {
	if value == "" {
		return nil
	}
	from, to, _ := strings.Cut(value, ",")
	low, err := parsePort(from)
	if err != nil {
		return err
	}
	high, err := parsePort(to)
	if err != nil {
		return err
	}
	if high == 0 || low > high {
		return fmt.Errorf("%q is no range of ports", clip(value))
	}
	j.PortLow, j.PortHigh = low, high
	return nil
}

func parsePort(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port", clip(value))
	}
	return int(n), nil
}

func parseAddr(value string) (netip.Addr, error) {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no address", clip(value))
	}
	return a, nil
}

func parseAddrs(list string) ([]netip.Addr, error) {
	if list == "" {
		return nil, nil
	}
	var all []netip.Addr
	for one := range strings.SplitSeq(list, ",") {
		a, err := parseAddr(one)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// isJail tells the full form from a sliver's EVENTSERVER.
func (j *JailConfig) isJail() bool { return j.PortHigh != 0 }

// Append renders the reply.
func (j JailConfig) Append(dst []byte, version int) []byte {
	a := assignments{dst}
	full := j.isJail()
	if j.JailIP.IsValid() {
		a.open("JAILIP").addr(j.JailIP)
		if j.JailMask.IsValid() {
			a.dst = append(a.dst, ',')
			a.addr(j.JailMask)
		}
		a.close()
	}
	a.quoted("CTRLMAC", j.CtrlMAC)
	if full {
		a.open("PORTRANGE").int(j.PortLow)
		a.dst = append(a.dst, ',')
		a.int(j.PortHigh).close()
	}
	if full || j.SSHDPort != 0 {
		a.key("SSHDPORT").int(j.SSHDPort).line()
	}
	a.flags(&j, full)
	a.quoted("EVENTSERVER", j.EventServer)
	a.plain("VDSIZE", j.VDSize)
	a.plain("ROOTHASH", j.RootHash)
	if full || len(j.IPAddrs) > 0 {
		a.open("IPADDRS").addrs(j.IPAddrs).close()
	}
	a.quoted("IMAGENAME", j.image(version))
	for _, e := range j.Extra {
		a.key(e.Name).text(e.Value).line()
	}
	return a.dst
}

// image leaves the version out before 39.
func (j *JailConfig) image(version int) string {
	if version < 39 {
		name, _, _ := strings.Cut(j.ImageName, ":")
		return name
	}
	return j.ImageName
}

// jailFlags is the order of the flags on the wire.
var jailFlags = [...]string{
	"SYSVIPC", "INETRAW", "BPFRO", "INADDRANY", "IPFW", "IPDIVERT", "ROUTING", "DEVMEM", "ELABINELAB",
}
