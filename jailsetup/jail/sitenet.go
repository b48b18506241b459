package jail

import (
	"fmt"
	"net/netip"

	"emujail/jailsetup/network"
)

// NetSite is what the site file says about networks of experiments.
type NetSite struct {
	// Peers are the addresses, as others see them, of the testbed's other hosts
	// whose jails are on LANs with ours.
	Peers []netip.Addr `yaml:"peers"`
	// LANMTU is the MTU of LANs, in bytes. 0: 1500, or 1450 where a LAN reaches
	// other hosts.
	LANMTU int `yaml:"lan_mtu"`
	// Tunnels says how tunnels are carried: vxlan, as LANs to hosts in Peers and
	// on this one. Empty: they are not provided.
	Tunnels string `yaml:"tunnels"`
	// Tolerate lists the styles of tunnels that jails may lack: gre, egre, vtun.
	// One of another style fails the boot.
	Tolerate []string `yaml:"tolerate"`
	// Remote says that this host stands outside of the testbed's own network; a
	// file isrem beside the testbed's says so too.
	Remote bool `yaml:"remote"`
}

// linkOverhead is what a frame between hosts costs, in bytes: outer IPv4, UDP,
// VXLAN and the inner Ethernet header.
const linkOverhead = 50

// defaultMTU is an Ethernet's.
const defaultMTU = 1500

func (s NetSite) check() error {
	for _, p := range s.Peers {
		if !p.Is4() || p.IsLoopback() || p.IsMulticast() || p.IsUnspecified() {
			return fmt.Errorf("peers: want IPv4 addresses of hosts, not %s", p)
		}
	}
	if s.LANMTU != 0 && (s.LANMTU < 576 || s.LANMTU > 65535) {
		return fmt.Errorf("lan_mtu: want 576 to 65535, not %d", s.LANMTU)
	}
	if s.Tunnels != "" && s.Tunnels != carryVXLAN {
		return fmt.Errorf("tunnels: want %s or nothing, not %q", carryVXLAN, s.Tunnels)
	}
	for _, style := range s.Tolerate {
		if style != styleGRE && style != styleEGRE && style != styleVtun {
			return fmt.Errorf("tolerate: want %s, %s, %s, not %q", styleGRE, styleEGRE, styleVtun, style)
		}
	}
	return nil
}

// reachesPeers tells whether LANs of this type of interface go on at the other
// hosts. tmcd doesn't say where a LAN's other members live.
func (s NetSite) reachesPeers(kind string) bool { return len(s.Peers) > 0 && kind != typeLoop }

// trunk is where else a LAN is, by the type of the interface on it.
func (s Site) trunk(kind string) network.Trunk {
	if !s.reachesPeers(kind) {
		return network.Trunk{}
	}
	t := network.Trunk{Peers: s.Peers, Hosts: s.Peers}
	t.Local, _ = netip.ParseAddr(s.Control.Address) // checked before; empty: the kernel chooses
	return t
}

// linkMTU is the MTU of an interface; 0 is the kernel's, 1500.
func (s NetSite) linkMTU(kind string) int {
	switch {
	case s.LANMTU != 0:
		return s.LANMTU
	case s.reachesPeers(kind):
		return defaultMTU - linkOverhead
	}
	return 0
}
