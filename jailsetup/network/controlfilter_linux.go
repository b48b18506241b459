package network

import (
	"crypto/sha256"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// maxConnections bounds one jail's tracked connections to the host, so that one
// jail can't fill the table that all share (peers.md T16): 254 jails stay below
// half of the kernel's usual 262,144. Traffic between jails isn't tracked.
const maxConnections = 512

// controlSets are the sets of the control namespace.
type controlSets struct {
	ports       *nftables.Set // bridge: device . MAC . address that may send
	hostPorts   *nftables.Set // inet: protocol . port where the host answers
	experiments *nftables.Set // inet: address : experiment
	members     *nftables.Set // inet: experiment . address
	connections *nftables.Set // inet: address, with its tracked connections
	sharers     *nftables.Set // inet: private address of a jail that shares the host's
	redirects   *nftables.Set // inet: port of the shared address : private address
}

func newControlSets() controlSets {
	bridge := &nftables.Table{Name: tableName, Family: nftables.TableFamilyBridge}
	inet := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	return controlSets{
		ports:     concatSet(bridge, "ports", nftables.TypeIFName, nftables.TypeEtherAddr, nftables.TypeIPAddr),
		hostPorts: concatSet(inet, "hostports", nftables.TypeInetProto, nftables.TypeInetService),
		experiments: &nftables.Set{
			Table: inet, Name: "experiments", IsMap: true,
			KeyType: nftables.TypeIPAddr, DataType: nftables.TypeIP6Addr,
		},
		members:     concatSet(inet, "members", nftables.TypeIP6Addr, nftables.TypeIPAddr),
		connections: &nftables.Set{Table: inet, Name: "connections", KeyType: nftables.TypeIPAddr, Dynamic: true, Size: 65535},
		sharers:     &nftables.Set{Table: inet, Name: "sharers", KeyType: nftables.TypeIPAddr},
		redirects:   redirectMap(inet),
	}
}

func concatSet(t *nftables.Table, name string, types ...nftables.SetDatatype) *nftables.Set {
	return &nftables.Set{Table: t, Name: name, Concatenation: true, KeyType: nftables.MustConcatSetType(types...)}
}

// experimentID stands for an experiment in the sets: 128 bits, so that nobody
// can choose a name that falls on another's. nft prints it as an IPv6 address.
func experimentID(experiment string) []byte {
	sum := sha256.Sum256([]byte(experiment))
	return sum[:16]
}

// controlTables are the filters of the control namespace.
func controlTables(c Control) []table {
	s := newControlSets()
	return []table{controlBridgeTable(s), controlRouterTable(c, s)}
}

// controlBridgeTable lets in from a jail what carries its own MAC and address,
// IPv4 and ARP; and nothing from port to port.
func controlBridgeTable(s controlSets) table {
	sender := when(inPort(reg0), etherSrc(reg4))
	return table{
		family: nftables.TableFamilyBridge,
		sets:   []*nftables.Set{s.ports},
		chains: []chain{
			{
				name: "prerouting", hook: nftables.ChainHookPrerouting, priority: -300, policy: nftables.ChainPolicyDrop,
				rules: []rule{
					when(etherType(unix.ETH_P_IP), sender, ip4Src(reg6), in(reg0, s.ports), accept()),
					when(arpShape(), sender, arpSenderIP(reg6), in(reg0, s.ports),
						inPort(reg0), arpSenderMAC(reg4), arpSenderIP(reg6), in(reg0, s.ports), accept()),
				},
			},
			linkLocalChain(),
			{name: "forward", hook: nftables.ChainHookForward, priority: 0, policy: nftables.ChainPolicyDrop},
		},
	}
}

// linkLocalChain drops what a bridge takes in without asking prerouting.
func linkLocalChain() chain {
	return chain{
		name: "input", hook: nftables.ChainHookInput, priority: -200, policy: nftables.ChainPolicyAccept,
		rules: []rule{when(linkLocalGroup(), drop())},
	}
}

// controlRouterTable lets the host through to the jails, jails to the host's
// listed ports and to jails of their experiment. Source addresses are true: the
// bridge table has seen to it.
func controlRouterTable(c Control, s controlSets) table {
	jailToHost := when(ipv4(), from(controlBridge), to(controlUplink), toHost(c.Host),
		meta(expr.MetaKeyL4PROTO, reg0), transport(2, 2, reg1), in(reg0, s.hostPorts))
	jailToJail := when(ipv4(), from(controlBridge), to(controlBridge),
		ip4Src(reg0), mapped(reg0, reg0, s.experiments), ip4Dst(reg4), in(reg0, s.members))
	shares := when(ipv4(), from(controlBridge), ip4Src(reg0), in(reg0, s.sharers))
	ping := func(dev string) rule {
		return when(ipv4(), from(dev), toHost(c.Gateway), l4proto(unix.IPPROTO_ICMP), icmpType(8), accept())
	}
	return table{
		family: nftables.TableFamilyINet,
		sets:   []*nftables.Set{s.hostPorts, s.experiments, s.members, s.connections, s.sharers, s.redirects},
		chains: []chain{
			{
				name: "raw", hook: nftables.ChainHookPrerouting, priority: -300, policy: nftables.ChainPolicyAccept,
				rules: []rule{
					when(ipv4(), from(controlBridge), toHost(c.Host), accept()),
					when(ipv4(), from(controlBridge), toHost(c.Gateway), notrack(), accept()),
					// An address is translated between jails only if one of them shares.
					when(shares, accept()),
					when(ipv4(), from(controlBridge), toPrefix(c.Pool), accept()),
					when(ipv4(), from(controlBridge), toHost(c.Address), accept()),
					when(ipv4(), from(controlBridge), toPrefix(c.Jails), notrack(), accept()),
					// Anywhere else: no route leads there, but the kernel says
					// so to each jail once in two seconds only.
					when(ipv4(), from(controlBridge), resetTCP()),
					when(ipv4(), from(controlBridge), prohibit()),
				},
			},
			siblingChain(c, s),
			{
				name: "input", hook: nftables.ChainHookInput, priority: 0, policy: nftables.ChainPolicyDrop,
				rules: []rule{
					ping(controlBridge), ping(controlUplink),
					when(ipv4(), from(controlBridge), resetTCP()),
					when(ipv4(), from(controlBridge), prohibit()),
				},
			},
			{
				name: "forward", hook: nftables.ChainHookForward, priority: 0, policy: nftables.ChainPolicyDrop,
				rules: slices.Concat([]rule{
					when(ipv4(), tracked(), accept()),
					when(ipv4(), from(controlUplink), to(controlBridge), fromHost(c.Host), toPrefix(c.Jails), accept()),
					// The host's own table has seen to what comes from elsewhere.
					when(ipv4(), from(controlUplink), to(controlBridge), toPrefix(c.Pool), accept()),
					when(jailToHost, overLimit(s.connections, maxConnections), drop()),
					when(jailToHost, accept()),
					when(jailToJail, accept()),
				}, outRules(c, s, shares), []rule{
					when(ipv4(), from(controlBridge), resetTCP()),
					when(ipv4(), from(controlBridge), prohibit()),
				}),
			},
		},
	}
}

// of is what lets a jail's port send: in the sets before the port exists, and
// out of them before it goes.
func (s controlSets) of(port string, mac MAC, addr netip.Addr, experiment string) []entries {
	id, ip := experimentID(experiment), addr.AsSlice()
	return []entries{
		{s.ports, []nftables.SetElement{{Key: key(ifName(port), mac[:], ip)}}},
		{s.experiments, []nftables.SetElement{{Key: ip, Val: id}}},
		{s.members, []nftables.SetElement{{Key: key(id, ip)}}},
	}
}
