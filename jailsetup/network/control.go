package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names and defaults of the control network.
const (
	DefaultRunDir = "/run/emulab"
	DefaultUplink = "emuctl0"       // the one device of ours in the host's namespace
	DefaultPool   = "100.64.0.0/24" // private addresses of jails that share the host's (RFC 6598)

	// LinkPort is the UDP port of links between hosts (VXLAN).
	LinkPort = 24789

	controlPin    = "control" // pin of the control namespace
	controlBridge = "ctl"     // the bridge in it
	controlUplink = "up0"     // its end of the uplink
	maxIfName     = 15        // bytes of an interface name (linux/if.h, less the NUL)
)

// Control describes the host's control network (spec jail.md §2.7). The zero
// value is not usable; [ControlIn] fills in the address plan.
type Control struct {
	Prefix    netip.Prefix `json:"prefix"`               // all control addresses of the testbed, e.g. 172.16.0.0/12
	Host      netip.Addr   `json:"host"`                 // the host's own control address
	Jails     netip.Prefix `json:"jails"`                // the addresses of this host's jails
	Gateway   netip.Addr   `json:"gateway"`              // the router that jails see
	Uplink    string       `json:"uplink"`               // device in the host's namespace
	HostPorts []Port       `json:"host_ports,omitempty"` // where the host answers jails: what the operator listed, else nothing
	RunDir    string       `json:"run_dir"`              // pins and lock lie here; a tmpfs

	// Address is the host's as others see it: jails without an address of their
	// own share it ([SharedAddress]). Invalid: Host.
	Address netip.Addr `json:"address"`
	// Pool holds the private addresses of such jails; nobody else sees them.
	Pool netip.Prefix `json:"pool"`
}

// ControlIn is the control network in prefix for the physical host number of
// the address plan: jails in the number's /24, its .0 for the host, the
// prefix's first address for the gateway. The number starts at 1, since the
// gateway lies in the /24 of 0.
func ControlIn(prefix netip.Prefix, number int) (Control, error) {
	base := prefix.Masked().Addr()
	if !base.Is4() || prefix.Bits() > 23 {
		return Control{}, fmt.Errorf("control prefix %s: want IPv4 with at most 23 bits", prefix)
	}
	if last := 1<<(24-prefix.Bits()) - 1; number < 1 || number > last {
		return Control{}, fmt.Errorf("host number %d: want 1 to %d in control prefix %s", number, last, prefix)
	}
	host := addIPv4(base, uint32(number)<<8)
	return Control{
		Prefix:  prefix.Masked(),
		Host:    host,
		Jails:   netip.PrefixFrom(host, 24),
		Gateway: base.Next(),
		Uplink:  DefaultUplink,
		RunDir:  DefaultRunDir,
		Address: host,
		Pool:    netip.MustParsePrefix(DefaultPool),
	}, nil
}

func addIPv4(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// Validate says what is wrong with the settings, before anything is done.
func (c Control) Validate() error {
	if !c.Prefix.IsValid() || !c.Prefix.Addr().Is4() {
		return fmt.Errorf("control prefix %s: want an IPv4 prefix", c.Prefix)
	}
	if !c.Jails.IsValid() || !c.Jails.Addr().Is4() || !within(c.Prefix, c.Jails) {
		return fmt.Errorf("control jails %s: want a prefix inside %s", c.Jails, c.Prefix)
	}
	for _, a := range []struct {
		name string
		addr netip.Addr
	}{{"host", c.Host}, {"gateway", c.Gateway}} {
		if !a.addr.Is4() || !c.Prefix.Contains(a.addr) {
			return fmt.Errorf("control %s address %s: want an IPv4 address inside %s", a.name, a.addr, c.Prefix)
		}
	}
	if !c.Address.Is4() {
		return fmt.Errorf("control address %s: want the host's IPv4 address", c.Address)
	}
	if !c.Pool.IsValid() || !c.Pool.Addr().Is4() || c.Pool.Overlaps(c.Prefix) {
		return fmt.Errorf("control pool %s: want an IPv4 prefix outside %s", c.Pool, c.Prefix)
	}
	if c.Host == c.Gateway {
		return fmt.Errorf("control host address %s: is the gateway's too", c.Host)
	}
	if err := checkIfName(c.Uplink); err != nil {
		return fmt.Errorf("control uplink: %w", err)
	}
	if !filepath.IsAbs(c.RunDir) {
		return fmt.Errorf("control run directory %q: want an absolute path", c.RunDir)
	}
	for _, p := range c.HostPorts {
		if err := p.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// CheckJail says whether a jail of this host may have the address, as its own
// or as its private one.
func (c Control) CheckJail(a netip.Addr) error {
	if c.Pool.Contains(a) {
		return nil
	}
	if !a.Is4() || !c.Jails.Contains(a) {
		return fmt.Errorf("jail address %s: want one inside %s", a, c.Jails)
	}
	if a == c.Host || a == c.Gateway {
		return fmt.Errorf("jail address %s: belongs to the host or the gateway", a)
	}
	return nil
}

func (c Control) String() string {
	return fmt.Sprintf("%s (host %s, gateway %s, device %s)", c.Jails, c.Host, c.Gateway, c.Uplink)
}

func within(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func checkIfName(s string) error {
	if s == "" || len(s) > maxIfName || s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n%") {
		return fmt.Errorf("interface name %q: want 1 to %d bytes without / : %% and blanks", s, maxIfName)
	}
	return nil
}

// Proto is a transport protocol by its number in the IP header.
type Proto uint8

// The protocols of a [Port].
const (
	TCP Proto = 6
	UDP Proto = 17
)

func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return "proto" + strconv.Itoa(int(p))
}

// Port is a port of the host that jails may reach: "tcp/8080".
type Port struct {
	Proto  Proto
	Number uint16
}

// tmcdPorts are the ports at which a tmcd listens.
func tmcdPorts() []uint16 { return []uint16{7777, 14447} }

// ParsePort reads "tcp/N" or "udp/N", N from 1 to 65535.
func ParsePort(s string) (Port, error) {
	name, number, ok := strings.Cut(s, "/")
	proto := map[string]Proto{"tcp": TCP, "udp": UDP}[name]
	n, err := strconv.ParseUint(number, 10, 16)
	if !ok || proto == 0 || err != nil || n == 0 {
		return Port{}, fmt.Errorf("port %q: want tcp/N or udp/N, N from 1 to 65535", s)
	}
	return Port{proto, uint16(n)}, nil
}

// IsTmcd tells whether a tmcd listens at the port, which jails are to ask through
// their proxy only (S2).
func (p Port) IsTmcd() bool { return slices.Contains(tmcdPorts(), p.Number) }

func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Proto, p.Number) }

// Validate says what keeps the port from being one.
func (p Port) Validate() error {
	if (p.Proto != TCP && p.Proto != UDP) || p.Number == 0 {
		return fmt.Errorf("port %s: want tcp/N or udp/N, N from 1 to 65535", p)
	}
	return nil
}

// MarshalText renders the port as [ParsePort] reads it.
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is [ParsePort].
func (p *Port) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePort(string(b))
	return err
}

// MAC is an Ethernet address that renders as text, also in JSON.
type MAC [6]byte

// ParseMAC reads the twelve hex digits of tmcd ("02aabbccddee") and the usual
// notation with colons. Group addresses and zero are no interface's.
func ParseMAC(s string) (MAC, error) {
	text := s
	if len(s) == 12 {
		text = s[0:2] + ":" + s[2:4] + ":" + s[4:6] + ":" + s[6:8] + ":" + s[8:10] + ":" + s[10:12]
	}
	hw, err := net.ParseMAC(text)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("MAC %q: want 12 hex digits", s)
	}
	m := MAC(hw)
	return m, m.Validate()
}

// Validate refuses zero and group addresses.
func (m MAC) Validate() error {
	if m == (MAC{}) {
		return errors.New("MAC is all zero")
	}
	if m[0]&1 != 0 {
		return fmt.Errorf("MAC %s: is a group address", m)
	}
	return nil
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText renders with colons.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is [ParseMAC], but takes zero.
func (m *MAC) UnmarshalText(b []byte) error {
	hw, err := net.ParseMAC(string(b))
	if err != nil || len(hw) != 6 {
		return fmt.Errorf("MAC %q: want 12 hex digits", b)
	}
	*m = MAC(hw)
	return nil
}

// ControlMAC is the locally administered MAC of a control interface without
// CTRLMAC: 02:45 and the four bytes of the address.
func ControlMAC(a netip.Addr) MAC {
	b := a.As4()
	return MAC{0x02, 0x45, b[0], b[1], b[2], b[3]}
}

// The two ends of the uplink: fixed, so that each may know the other's without
// asking.
func uplinkHostMAC(c Control) MAC {
	m := ControlMAC(c.Host)
	m[1] = 0x46
	return m
}

func uplinkRouterMAC(c Control) MAC {
	m := ControlMAC(c.Host)
	m[1] = 0x47
	return m
}
