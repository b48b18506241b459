package network

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// experimentSets are the sets of an experiment's namespace.
type experimentSets struct {
	senders    *nftables.Set // device . MAC that may send
	arp        *nftables.Set // device . MAC . address that it may say by ARP
	neighbours *nftables.Set // device . IPv6 address that it may say by ND
	trunks     *nftables.Set // device to other hosts, where the same filter stands
}

func newExperimentSets() experimentSets {
	bridge := &nftables.Table{Name: tableName, Family: nftables.TableFamilyBridge}
	return experimentSets{
		senders:    concatSet(bridge, "senders", nftables.TypeIFName, nftables.TypeEtherAddr),
		arp:        concatSet(bridge, "arp", nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr),
		neighbours: concatSet(bridge, "neighbours", nftables.TypeIFName, nftables.TypeIP6Addr),
		trunks:     &nftables.Set{Table: bridge, Name: "trunks", KeyType: nftables.TypeIFName},
	}
}

// Ports and ICMPv6 types by which one node can configure another.
const (
	dhcpServer       = 67
	dhcp6Server      = 547
	routerSolicit    = 133
	routerAdvert     = 134
	neighbourSolicit = 135
	neighbourAdvert  = 136
	redirect6        = 137
)

// experimentTables let in from a jail what carries its own MAC: IPv4 with any
// source, since nodes may route; ARP and ND for its own addresses; IPv6. No
// DHCP server, no router advertisement, no STP, LLDP or VLAN tag (T17).
func experimentTables() []table {
	s := newExperimentSets()
	sender := when(inPort(reg0), etherSrc(reg4), in(reg0, s.senders))
	v4 := when(etherType(unix.ETH_P_IP), sender)
	v6 := when(etherType(unix.ETH_P_IPV6), sender)
	udp, icmp6 := l4proto(unix.IPPROTO_UDP), l4proto(unix.IPPROTO_ICMPV6)
	ownSource := when(inPort(reg0), ip6Src(reg4), in(reg0, s.neighbours))
	noSource := when(ip6Src(reg0), is(reg0, make([]byte, 16)...))
	ownTarget := when(inPort(reg0), ndTarget(reg4), in(reg0, s.neighbours))

	rules := []rule{
		when(linkLocalGroup(), drop()),
		when(inPort(reg0), in(reg0, s.trunks), accept()),
		when(v4, udp, sourcePort(dhcpServer), drop()),
		when(v4, accept()),
		when(arpShape(), sender,
			inPort(reg0), arpSenderMAC(reg4), arpSenderIP(reg6), in(reg0, s.arp), accept()),
		when(v6, udp, sourcePort(dhcp6Server), drop()),
	}
	for _, t := range []byte{routerAdvert, redirect6} {
		rules = append(rules, when(v6, icmp6, icmpType(t), drop()))
	}
	for _, t := range []byte{routerSolicit, neighbourSolicit} {
		rules = append(rules,
			when(v6, icmp6, icmpType(t), ownSource, accept()),
			when(v6, icmp6, icmpType(t), noSource, accept()),
			when(v6, icmp6, icmpType(t), drop()))
	}
	rules = append(rules,
		when(v6, icmp6, icmpType(neighbourAdvert), ownTarget, accept()),
		when(v6, icmp6, icmpType(neighbourAdvert), drop()),
		when(v6, accept()))
	return []table{{
		family: nftables.TableFamilyBridge,
		sets:   []*nftables.Set{s.senders, s.arp, s.neighbours, s.trunks},
		chains: []chain{
			{
				name: "prerouting", hook: nftables.ChainHookPrerouting, priority: -300,
				policy: nftables.ChainPolicyDrop, rules: rules,
			},
			linkLocalChain(),
		},
	}}
}

// of is what lets a jail's port send: in the sets before the port exists, and
// out of them before it goes.
func (s experimentSets) of(port string, mac MAC, addrs []netip.Prefix) []entries {
	dev := ifName(port)
	var arp []nftables.SetElement
	nd := []nftables.SetElement{{Key: key(dev, linkLocal(mac).AsSlice())}}
	for _, a := range addrs {
		if a.Addr().Is4() {
			arp = append(arp, nftables.SetElement{Key: key(dev, mac[:], a.Addr().AsSlice())})
		} else {
			nd = append(nd, nftables.SetElement{Key: key(dev, a.Addr().AsSlice())})
		}
	}
	return []entries{
		{s.senders, []nftables.SetElement{{Key: key(dev, mac[:])}}},
		{s.arp, arp},
		{s.neighbours, nd},
	}
}

// trunk is what lets frames of other hosts in.
func (s experimentSets) trunk(device string) []entries {
	return []entries{{s.trunks, []nftables.SetElement{{Key: ifName(device)}}}}
}

// linkLocal is the IPv6 address that a link makes of its MAC (RFC 4291, modified
// EUI-64).
func linkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}
