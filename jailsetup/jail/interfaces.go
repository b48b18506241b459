package jail

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"emujail/jailsetup/network"
	"emujail/protocol"
)

// experimentLinks makes of the ifconfig records the links of the experiment,
// in an order that doesn't depend on the database's: eth1 is the first by LAN,
// then by address. How the original made an interface has no meaning here; its
// type says only which LAN it is on (spec/linux.md §15):
//
//	veth, any   the LAN by its name
//	loop        the same, on this host alone
//	vlan        the LAN by its tag
//	alias       none: a further address of the interface with its MAC
//	gre         none: a tunnel's end, see tunnels.go
//
// Lines without MAC and address of the vnode's are the host's devices.
func (s Site) experimentLinks(w Wish) ([]network.ExperimentLink, error) {
	all := slices.Concat(w.Interfaces, w.Aliases)
	slices.SortStableFunc(all, func(a, b protocol.Interface) int {
		return cmp.Or(cmp.Compare(a.LAN, b.LAN), compareAddrs(a.INET, b.INET))
	})
	var links []network.ExperimentLink
	for _, i := range all {
		if !isLink(i) {
			continue
		}
		l, err := s.experimentLink(i, len(links)+1)
		if err != nil {
			return nil, fmt.Errorf("tmcd's ifconfig: interface %s on %s: %w", i.INET, i.LAN, err)
		}
		links = append(links, l)
	}
	for _, i := range all {
		if i.Type == typeAlias {
			if err := addAlias(links, i); err != nil {
				return nil, fmt.Errorf("tmcd's ifconfig: alias %s on %s: %w", i.INET, i.LAN, err)
			}
		}
	}
	return links, nil
}

// Types of interfaces.
const (
	typeVeth  = "veth"
	typeVLAN  = "vlan"
	typeLoop  = "loop"
	typeAlias = "alias"
	typeAny   = "any"
)

// isLink tells whether the record is an interface of the vnode's own.
func isLink(i protocol.Interface) bool {
	return i.Type != typeAlias && (i.Virtual || i.Type == typeAny && i.INET != "")
}

// compareAddrs orders addresses by number, so that .9 comes before .10.
func compareAddrs(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil {
		return cmp.Compare(a, b)
	}
	return x.Compare(y)
}

// experimentLink is the n-th interface.
func (s Site) experimentLink(i protocol.Interface, n int) (network.ExperimentLink, error) {
	l := network.ExperimentLink{LAN: i.LAN, Name: "eth" + strconv.Itoa(n), Index: n, MTU: s.linkMTU(i.Type), Trunk: s.trunk(i.Type)}
	var err error
	if l.MAC, err = network.ParseMAC(macOf(i)); err != nil {
		return l, err
	}
	switch i.Type {
	case typeVeth, typeLoop, typeAny:
	case typeVLAN:
		if l.Tag, err = vlanTag(i); err != nil {
			return l, err
		}
		l.LAN = cmp.Or(l.LAN, "vlan"+i.VTag)
	default:
		return l, fmt.Errorf("type %q is not provided (want veth, vlan, loop, alias or any)", i.Type)
	}
	if i.INET == "" {
		return l, nil
	}
	addr, err := addressOf(i)
	l.Addrs = []netip.Prefix{addr}
	return l, err
}

func macOf(i protocol.Interface) string {
	if i.Virtual {
		return i.VMAC
	}
	return i.MAC
}

// maxTag is the highest VLAN tag there is (802.1Q).
const maxTag = 4094

// vlanTag is the interface's tag; without one the switch isn't ready.
func vlanTag(i protocol.Interface) (int, error) {
	tag, err := strconv.Atoi(i.VTag)
	if err != nil || tag < 1 || tag > maxTag {
		return 0, fmt.Errorf("VLAN tag %q: want 1 to %d", i.VTag, maxTag)
	}
	return tag, nil
}

// lacksTag tells whether the interface is one of a VLAN that the testbed's
// switches don't have yet (jail.md §2.8).
func lacksTag(i protocol.Interface) bool {
	return i.Type == typeVLAN && (i.VTag == "" || i.VTag == "0")
}

// maxAddrs bounds the addresses of one interface: each is in the record of how
// it is taken down, in the filter at its host end, and in every answer to ip(8).
const maxAddrs = 256

// addAlias gives the alias' address to the interface that it belongs to: the
// one with its MAC, else the one on its LAN.
func addAlias(links []network.ExperimentLink, i protocol.Interface) error {
	addr, err := addressOf(i)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(links, func(l network.ExperimentLink) bool {
		mac, err := network.ParseMAC(i.VMAC)
		return err == nil && mac == l.MAC
	})
	if at < 0 {
		at = slices.IndexFunc(links, func(l network.ExperimentLink) bool { return l.LAN == i.LAN })
	}
	if at < 0 {
		return fmt.Errorf("no interface has its MAC %s or is on its LAN", i.VMAC)
	}
	if slices.Contains(links[at].Addrs, addr) {
		return nil
	}
	if len(links[at].Addrs) == maxAddrs {
		return fmt.Errorf("interface %s has %d addresses already: that is the most", links[at].Name, maxAddrs)
	}
	links[at].Addrs = append(links[at].Addrs, addr)
	return nil
}

func addressOf(i protocol.Interface) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(i.INET)
	if err != nil {
		return netip.Prefix{}, err
	}
	bits, err := maskBits(i.Mask)
	return netip.PrefixFrom(addr, bits), err
}

// maskBits is the length of a mask in dotted quads.
func maskBits(text string) (int, error) {
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() {
		return 0, fmt.Errorf("mask %q is no IPv4 mask", text)
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return 0, fmt.Errorf("mask %s has holes", text)
	}
	return ones, nil
}
