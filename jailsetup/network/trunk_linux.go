package network

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Trunk leads a LAN to the other hosts that jails of the experiment live on, by
// VXLAN: each host has one port of the LAN's bridge that sends to all others.
// Which jails are where, the bridges learn. All hosts compute the same network
// id from the names of experiment and LAN, so they need not agree on anything
// but each other's addresses. Frames are neither encrypted nor signed: the
// network between the hosts is the testbed's own. The zero value is none.
type Trunk struct {
	Local netip.Addr   `json:"local"` // the host's, as the others know it; invalid: the kernel's choice
	Peers []netip.Addr `json:"peers"`
	// Hosts are all that any LAN of this host may reach, Peers among them: the
	// one wall of the host takes frames from these, whatever LAN they are of.
	Hosts []netip.Addr `json:"hosts"`
}

// trunkName names the trunk's device beside a bridge.
func trunkName(bridge string) string { return "vx-" + shortHash(bridge, 8) }

// trunkID is the VXLAN network id of a LAN: 24 bits, not 0.
func trunkID(experiment, bridge string) int {
	sum := sha256.Sum256([]byte("trunk " + experiment + " " + bridge))
	return max(1, int(binary.BigEndian.Uint32(sum[:])>>8))
}

func (t Trunk) words(experiment, bridge string) string {
	words := make([]string, 0, len(t.Peers))
	for _, p := range t.Peers {
		words = append(words, p.String())
	}
	return fmt.Sprintf(", on to %s (VXLAN %d)", strings.Join(words, " "), trunkID(experiment, bridge))
}

// ensure makes the trunk of the LAN, or brings its list of peers up to date. The
// caller holds the lock and is in the host's namespace, where the trunk's
// packets travel.
func (t Trunk) ensure(ns *os.File, experiment, bridge string, mtu int) error {
	if len(t.Peers) == 0 {
		return nil
	}
	if err := ensurePeersTable(t.Hosts); err != nil {
		return err
	}
	name := trunkName(bridge)
	// What may send is set before it is there.
	if err := In(ns, func() error { return put(newExperimentSets().trunk(name)) }); err != nil {
		return err
	}
	stands, err := hasLink(ns, name)
	if err != nil {
		return err
	}
	if !stands {
		if err := t.make(ns, name, trunkID(experiment, bridge)); err != nil {
			return fmt.Errorf("make VXLAN of %s: %w", bridge, err)
		}
	}
	return withRoutes(ns, func(h *netlink.Handle) error { return t.setUp(h, name, bridge, mtu) })
}

// make makes the device in the experiment's namespace, with its socket here.
func (t Trunk) make(ns *os.File, name string, id int) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	mac := hostEndMAC(name)
	attrs.HardwareAddr = mac[:]
	attrs.Namespace = netlink.NsFd(ns.Fd())
	device := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: id, Port: LinkPort, Learning: true, UDPCSum: true}
	if t.Local.IsValid() {
		device.SrcAddr = t.Local.AsSlice()
	}
	err = h.LinkAdd(device)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("network id %d is another LAN's on this host: rename one: %w", id, err)
	}
	return err
}

func (t Trunk) setUp(h *netlink.Handle, name, bridge string, mtu int) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	br, err := h.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", bridge, err)
	}
	if mtu != 0 { // it isn't lowered by itself (spec/linux.md §9.2)
		if err := h.LinkSetMTU(l, mtu); err != nil {
			return fmt.Errorf("set MTU of %s to %d: %w", name, mtu, err)
		}
	}
	if err := t.setPeers(h, l); err != nil {
		return err
	}
	if err := h.LinkSetMasterByIndex(l, br.Attrs().Index); err != nil {
		return fmt.Errorf("put %s on %s: %w", name, bridge, err)
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

// setPeers makes the list of those that get what is for everybody, or for
// nobody known.
func (t Trunk) setPeers(h *netlink.Handle, l netlink.Link) error {
	have, err := whole(func() ([]netlink.Neigh, error) { return h.NeighList(l.Attrs().Index, unix.AF_BRIDGE) })
	if err != nil {
		return fmt.Errorf("list peers of %s: %w", l.Attrs().Name, err)
	}
	var known []netip.Addr
	for _, n := range have {
		a, ok := netip.AddrFromSlice(n.IP)
		if !ok || !isZero(n.HardwareAddr) {
			continue
		}
		if known = append(known, a.Unmap()); !slices.Contains(t.Peers, a.Unmap()) {
			if err := h.NeighDel(peerEntry(l, a.Unmap())); err != nil {
				return fmt.Errorf("remove peer %s of %s: %w", a, l.Attrs().Name, err)
			}
		}
	}
	for _, p := range t.Peers {
		if slices.Contains(known, p) {
			continue
		}
		if err := h.NeighAppend(peerEntry(l, p)); err != nil {
			return fmt.Errorf("add peer %s of %s: %w", p, l.Attrs().Name, err)
		}
	}
	return nil
}

func isZero(mac net.HardwareAddr) bool {
	return slices.Equal(mac, make(net.HardwareAddr, 6))
}

func peerEntry(l netlink.Link, peer netip.Addr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP | netlink.NUD_PERMANENT,
		Flags: netlink.NTF_SELF, IP: peer.AsSlice(), HardwareAddr: make(net.HardwareAddr, 6),
	}
}

// removeLoneLAN removes the bridge of a LAN on which no jail is left, and its
// trunk if it has one: all that may be there of it, for whoever began may have
// been killed anywhere. Where no jail has a link any more, the bridge is left to
// the end of the namespace: to delete a device takes the kernel 30 ms. The caller
// holds the lock and is in the host's namespace.
func removeLoneLAN(ctx context.Context, runDir, pin, bridge string, trunked bool) error {
	ns, err := openPin(runDir, pin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	return In(ns, func() error {
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		name := trunkName(bridge)
		left, err := lookAtLAN(h, bridge, name)
		if err != nil || left.jails {
			return err
		}
		if trunked {
			if err := deleteLink(ctx, h, name); err != nil {
				return err
			}
			if err := take(newExperimentSets().trunk(name)); err != nil {
				return err
			}
		}
		if !left.bridge || !left.others {
			return nil
		}
		return deleteLink(ctx, h, bridge)
	})
}

// leftOfLAN is what there is of a LAN, and beside it.
type leftOfLAN struct {
	bridge bool
	jails  bool // are on it
	others bool // have links in the namespace
}

func lookAtLAN(h *netlink.Handle, bridge, trunk string) (left leftOfLAN, err error) {
	links, err := whole(h.LinkList)
	if err != nil {
		return left, fmt.Errorf("list links: %w", err)
	}
	at := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == bridge })
	left.bridge = at >= 0
	for _, l := range links {
		switch a := l.Attrs(); {
		case a.Name == trunk: // no jail's
		case left.bridge && a.MasterIndex == links[at].Attrs().Index:
			left.jails = true
		case l.Type() == "veth":
			left.others = true
		}
	}
	return left, nil
}

// peersTable is the name of the table in the host's namespace that takes frames
// of LANs from the other hosts only.
const peersTable = "emujail-peers"

func peersSet() *nftables.Set {
	return &nftables.Set{
		Table: &nftables.Table{Name: peersTable, Family: nftables.TableFamilyIPv4},
		Name:  "peers", KeyType: nftables.TypeIPAddr,
	}
}

// ensurePeersTable makes the set that of these hosts. It is the host's, not a
// LAN's: to leave out who has no part in one LAN would cut the others.
func ensurePeersTable(hosts []netip.Addr) error {
	s := peersSet()
	link := when(l4proto(unix.IPPROTO_UDP), destPort(LinkPort))
	err := apply(table{
		name: peersTable, family: nftables.TableFamilyIPv4, sets: []*nftables.Set{s},
		chains: []chain{{
			name: "input", hook: nftables.ChainHookInput, priority: 0, policy: nftables.ChainPolicyAccept,
			rules: []rule{
				when(link, ip4Src(reg0), in(reg0, s), accept()),
				when(link, drop()),
			},
		}},
	})
	if err != nil {
		return err
	}
	have, err := elements(s)
	if err != nil {
		return err
	}
	want, surplus := entries{set: s, list: peerElements(hosts...)}, entries{set: s}
	for _, e := range have {
		if a, ok := netip.AddrFromSlice(e.Key); !ok || !slices.Contains(hosts, a) {
			surplus.list = append(surplus.list, nftables.SetElement{Key: e.Key})
		}
	}
	if err := put([]entries{want}); err != nil {
		return err
	}
	return take([]entries{surplus})
}

func peerElements(peers ...netip.Addr) []nftables.SetElement {
	list := make([]nftables.SetElement, 0, len(peers))
	for _, p := range peers {
		list = append(list, nftables.SetElement{Key: p.AsSlice()})
	}
	return list
}

// removePeersTable removes the table once no experiment has a trunk.
func removePeersTable(runDir string) error {
	pins, err := os.ReadDir(pinDir(runDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range pins {
		if checkPin(p.Name()) != nil {
			continue
		}
		used, err := hasTrunk(runDir, p.Name())
		if err != nil || used {
			return err
		}
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	t := peersSet().Table
	if stands, err := hasTable(conn, t); err != nil || !stands {
		return err
	}
	conn.DelTable(t)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove table %s: %w", peersTable, err)
	}
	return nil
}

func hasTrunk(runDir, pin string) (bool, error) {
	ns, err := openPin(runDir, pin)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer ns.Close()
	found := false
	err = withRoutes(ns, func(h *netlink.Handle) error {
		links, err := whole(h.LinkList)
		found = slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Type() == "vxlan" })
		return err
	})
	return found, err
}
