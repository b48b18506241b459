package jail

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"emujail/jailsetup/network"
	"emujail/protocol"
)

// Styles of tunnels (tunnel_style). None of them is provided as it was: the tunnel
// daemon of the old kind is nobody's any more, and GRE's devices aren't in every
// kernel. A site may have them carried by VXLAN instead,
// where our programs are at both ends (tunnels: vxlan); or may bear that they
// are missing (tolerate).
const (
	styleVtun = "vtun" // also of records without a style
	styleGRE  = "gre"
	styleEGRE = "egre"
)

// carryVXLAN is the one way to carry tunnels, in the site file.
const carryVXLAN = "vxlan"

// tunnelLinks makes links of the tunnels that this site carries, numbered after
// those before; the others are missing, in words.
func (h *Host) tunnelLinks(w Wish, before int) (links []network.ExperimentLink, missing []string, err error) {
	for _, t := range w.Tunnels.Members() {
		style := cmp.Or(t.Values["tunnel_style"], styleVtun)
		name := fmt.Sprintf("tunnel %s (%s)", cmp.Or(t.Values["tunnel_lan"], strconv.Itoa(t.ID)), style)
		carried, err := h.carries(t)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("tmcd's tunnels: %s: %w", name, err)
		case carried:
			l, err := h.tunnelLink(t, before+len(links)+1)
			if err != nil {
				return nil, nil, fmt.Errorf("tmcd's tunnels: %s: %w", name, err)
			}
			links = append(links, l)
		case slices.Contains(h.Site.Tolerate, style):
			missing = append(missing, name)
		default:
			return nil, nil, fmt.Errorf("%s is not provided here (site file: tolerate: [%s] boots without it; tunnels: %s carries it to hosts in peers)", name, style, carryVXLAN)
		}
	}
	return links, missing, nil
}

// carries tells whether the tunnel's other end is within reach of a LAN of ours.
func (h *Host) carries(t protocol.Tunnel) (bool, error) {
	if h.Site.Tunnels != carryVXLAN {
		return false, nil
	}
	far, err := netip.ParseAddr(t.Values["tunnel_dstip"])
	if err != nil {
		return false, fmt.Errorf("tunnel_dstip: %w", err)
	}
	return h.isOwn(far, t) || slices.Contains(h.Site.Peers, far), nil
}

// isOwn tells whether the address is this host's: its own end says so too.
func (h *Host) isOwn(a netip.Addr, t protocol.Tunnel) bool {
	return a == h.Network.Address || a == h.Network.Host || a.String() == t.Values["tunnel_srcip"]
}

// tunnelLink makes of a tunnel a LAN of two.
func (h *Host) tunnelLink(t protocol.Tunnel, n int) (network.ExperimentLink, error) {
	l := network.ExperimentLink{
		LAN: cmp.Or(t.Values["tunnel_lan"], "tunnel"+strconv.Itoa(t.ID)), Name: "eth" + strconv.Itoa(n), Index: n,
		MTU: h.Site.LANMTU,
	}
	addr, err := addressOf(protocol.Interface{INET: t.Values["tunnel_ip"], Mask: t.Values["tunnel_ipmask"]})
	if err != nil {
		return l, fmt.Errorf("tunnel_ip: %w", err)
	}
	l.Addrs = []netip.Prefix{addr}
	if l.MAC, err = tunnelMAC(t); err != nil {
		return l, err
	}
	far, err := netip.ParseAddr(t.Values["tunnel_dstip"])
	if err != nil {
		return l, fmt.Errorf("tunnel_dstip: %w", err)
	}
	if !h.isOwn(far, t) {
		l.Trunk = h.Site.trunk(typeAny)
		l.Trunk.Peers = []netip.Addr{far} // of its Hosts, see carries
		l.MTU = h.Site.linkMTU(typeAny)
	}
	return l, nil
}

// tunnelMAC is boss's, or one made of tunnel and end, so that both differ.
func tunnelMAC(t protocol.Tunnel) (network.MAC, error) {
	if text := t.Values["tunnel_mac"]; text != "" {
		return network.ParseMAC(text)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "tunnel %d member %d", t.ID, t.Member))
	return network.MAC(append(net.HardwareAddr{0x02, 0x54}, sum[:4]...)), nil
}
