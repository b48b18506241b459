package network

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// The filters and translations of jails that share the host's address. Who
// looks from outside sees the ports of a jail's range and nothing else; who
// looks from inside sees what the host sees, but neither the host itself, nor
// tmcd, nor other control networks.

// sharedTable is the name of the one table of ours in the host's namespace.
const sharedTable = "emujail-shared"

// guardPrefix begins the name of the chain that keeps the host from forwarding
// for others, where forwarding was off before; the device's name ends it.
const guardPrefix = "guard-"

// redirectMap is the map from ports of the shared address to jails. Overlapping
// ranges don't go in.
func redirectMap(t *nftables.Table) *nftables.Set {
	return &nftables.Set{
		Table: t, Name: "redirects", IsMap: true, Interval: true,
		KeyType: nftables.TypeInetService, DataType: nftables.TypeIPAddr,
	}
}

// hostSets are the sets of the table in the host's namespace.
type hostSets struct {
	redirects *nftables.Set // port : private address
	ranges    *nftables.Set // private address : lowest . highest port
}

func newHostSets() hostSets {
	t := &nftables.Table{Name: sharedTable, Family: nftables.TableFamilyIPv4}
	return hostSets{
		redirects: redirectMap(t),
		ranges: &nftables.Set{
			Table: t, Name: "ranges", IsMap: true, KeyType: nftables.TypeIPAddr,
			DataType: nftables.MustConcatSetType(nftables.TypeInetService, nftables.TypeInetService),
		},
	}
}

// portRange is an interval of ports, both ends in it.
type portRange struct{ low, high uint16 }

// elements are the range's in a redirect map.
func (p portRange) elements(to netip.Addr) []nftables.SetElement {
	list := []nftables.SetElement{{Key: be16(p.low), Val: to.AsSlice()}}
	if p.high < 65535 {
		list = append(list, nftables.SetElement{Key: be16(p.high + 1), IntervalEnd: true})
	}
	return list
}

func (s hostSets) of(addr netip.Addr, p portRange) []entries {
	return []entries{
		{s.redirects, p.elements(addr)},
		{s.ranges, []nftables.SetElement{{Key: addr.AsSlice(), Val: key(be16(p.low), be16(p.high))}}},
	}
}

// shared is what makes a private address one that shares the host's.
func (s controlSets) shared(addr netip.Addr, p portRange) []entries {
	return []entries{
		{s.sharers, []nftables.SetElement{{Key: addr.AsSlice()}}},
		{s.redirects, p.elements(addr)},
	}
}

// toRange redirects what goes to a port of the map.
func toRange(match rule, s *nftables.Set) []rule {
	var rules []rule
	for _, proto := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		rules = append(rules, when(match, l4proto(proto), transport(2, 2, reg0), mapped(reg0, reg0, s), redirect(reg0)))
	}
	return rules
}

// siblingChain brings jails to each other by the shared address; whether they
// may is decided later, by their private ones.
func siblingChain(c Control, s controlSets) chain {
	return chain{
		name: "siblings", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPrerouting,
		priority: -100, policy: nftables.ChainPolicyAccept,
		rules: toRange(when(ipv4(), from(controlBridge), toHost(c.Address)), s.redirects),
	}
}

// Where nobody is let out to: tmcd's ports (S2), and the port of links between
// hosts, by which frames would reach experiments there.
func closedPorts() []uint16 { return append(tmcdPorts(), LinkPort) }

// outRules let jails that share the host's address out of the control network.
func outRules(c Control, s controlSets, shares rule) []rule {
	out := when(shares, to(controlUplink))
	var rules []rule
	refuse := func(match rule) {
		rules = append(rules, when(out, match, resetTCP()), when(out, match, prohibit()))
	}
	refuse(toHost(c.Host))
	refuse(toHost(c.Address))
	for _, p := range []string{"127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"} {
		refuse(toPrefix(netip.MustParsePrefix(p)))
	}
	refuse(toPrefix(c.Prefix))
	refuse(toPrefix(c.Pool))
	for _, port := range closedPorts() {
		for _, proto := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			refuse(when(l4proto(proto), destPort(port)))
		}
	}
	return append(rules, when(out, overLimit(s.connections, maxConnections), drop()), when(out, accept()))
}

// hostTable is the table in the host's namespace. guard names the device that
// forwards for our sake only; empty: the host forwards anyway.
func hostTable(c Control, guard string) table {
	s := newHostSets()
	source := when(toOtherDev(c.Uplink), ip4Src(reg0), mapped(reg0, reg4, s.ranges))
	t := table{
		name: sharedTable, family: nftables.TableFamilyIPv4,
		sets: []*nftables.Set{s.redirects, s.ranges},
		chains: []chain{
			{
				name: "prerouting", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPrerouting,
				priority: -100, policy: nftables.ChainPolicyAccept, rules: toRange(toHost(c.Address), s.redirects),
			},
			{ // the host's own connections
				name: "output", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookOutput,
				priority: -100, policy: nftables.ChainPolicyAccept, rules: toRange(toHost(c.Address), s.redirects),
			},
			{
				name: "postrouting", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPostrouting,
				priority: 100, policy: nftables.ChainPolicyAccept,
				rules: []rule{
					when(source, l4proto(unix.IPPROTO_TCP), comeFrom(c.Address, reg4)),
					when(source, l4proto(unix.IPPROTO_UDP), comeFrom(c.Address, reg4)),
					when(source, comeFrom(c.Address, 0)),
				},
			},
			{ // S30: the control network's own filter knows the host's control address only
				name: "input", hook: nftables.ChainHookInput, priority: 0, policy: nftables.ChainPolicyAccept,
				rules: []rule{
					when(from(c.Uplink), tracked(), accept()),
					when(from(c.Uplink), fromPrefix(c.Pool), toOther(c.Host), resetTCP()),
					when(from(c.Uplink), fromPrefix(c.Pool), toOther(c.Host), prohibit()),
				},
			},
			{
				name: "forward", hook: nftables.ChainHookForward, priority: 0, policy: nftables.ChainPolicyAccept,
				rules: []rule{
					when(to(c.Uplink), toPrefix(c.Pool), tracked(), accept()),
					when(to(c.Uplink), toPrefix(c.Pool), redirected(), accept()),
					when(to(c.Uplink), toPrefix(c.Pool), drop()),
				},
			},
		},
	}
	if guard != "" {
		t.chains = append(t.chains, chain{
			name: guardPrefix + guard, hook: nftables.ChainHookForward, priority: 1, policy: nftables.ChainPolicyAccept,
			rules: []rule{when(from(guard), toOtherDev(c.Uplink), drop())},
		})
	}
	return t
}
