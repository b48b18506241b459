package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// goneTimeout is how long a link may take to vanish. A namespace that dies
// takes its links along 14 to 60 ms later (spec/linux.md §9.1).
const goneTimeout = 2 * time.Second

// upTimeout is how long a link may take to come into service.
const upTimeout = 3 * time.Second

// pair is a veth pair: the host's end here, its peer in a jail.
type pair struct {
	name    string // of the host's end
	mac     MAC
	master  int // the bridge's index; 0: none
	group   uint32
	peer    string // name inside
	peerMAC MAC
	peerNS  *os.File
	mtu     int // 0: the kernel's, 1500
	alias   string
}

// addPair makes both ends, with MACs, master and group, in one message (T18),
// and leaves them down. What an interrupted attempt left under the same name is
// deleted first. It runs in the namespace of the handle.
func addPair(ctx context.Context, h *netlink.Handle, p pair) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = p.name
	attrs.HardwareAddr = net.HardwareAddr(p.mac[:])
	attrs.MasterIndex = p.master
	attrs.Group = p.group
	attrs.MTU = p.mtu
	veth := netlink.NewVeth(attrs)
	veth.PeerName = p.peer
	veth.PeerHardwareAddr = net.HardwareAddr(p.peerMAC[:])
	veth.PeerNamespace = netlink.NsFd(p.peerNS.Fd())
	veth.PeerMTU = uint32(p.mtu)
	err := h.LinkAdd(veth)
	if errors.Is(err, unix.EEXIST) {
		if err := deleteLink(ctx, h, p.name); err != nil {
			return nil, err
		}
		err = h.LinkAdd(veth)
	}
	if err != nil {
		return nil, fmt.Errorf("make veth %s with peer %s: %w", p.name, p.peer, err)
	}
	link, err := h.LinkByName(p.name)
	if err != nil {
		return nil, fmt.Errorf("find veth %s just made: %w", p.name, err)
	}
	if err := h.LinkSetAlias(link, p.alias); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", p.name, err)
	}
	return link, nil
}

// deleteLink deletes the link and waits until it is gone. That it isn't there
// is no error.
func deleteLink(ctx context.Context, h *netlink.Handle, name string) error {
	link, err := linkByName(h, name)
	if link == nil {
		return err
	}
	if err := h.LinkDel(link); err != nil && !isGone(err) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return waitGone(ctx, h, name)
}

// deleteJailLinks deletes the vnode's link name. If all links of its group are
// this vnode's, one message takes them all: each deletion alone costs 35 ms, and
// fifty together the same (spec/linux.md §9.1).
func deleteJailLinks(ctx context.Context, h *netlink.Handle, vnode, name string, group uint32) error {
	if group == 0 {
		return deleteLink(ctx, h, name)
	}
	links, err := whole(h.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	names, pure := groupOf(links, vnode, group)
	if !pure || len(names) < 2 {
		return deleteLink(ctx, h, name)
	}
	if err := deleteGroup(group); err != nil && !isGone(err) {
		return fmt.Errorf("delete links %s of %s: %w", strings.Join(names, " "), vnode, err)
	}
	for _, n := range append(names, name) {
		if err := waitGone(ctx, h, n); err != nil {
			return err
		}
	}
	return nil
}

// groupOf names the links of the group, and says whether all are the vnode's.
func groupOf(links []netlink.Link, vnode string, group uint32) (names []string, pure bool) {
	pure = true
	for _, l := range links {
		if l.Attrs().Group != group {
			continue
		}
		names = append(names, l.Attrs().Name)
		pure = pure && strings.HasPrefix(l.Attrs().Name, vnodeMark(vnode))
	}
	return names, pure
}

// deleteGroup sends one RTM_DELLINK for all devices of the group in the calling
// thread's namespace.
func deleteGroup(group uint32) error {
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func waitGone(ctx context.Context, h *netlink.Handle, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneTimeout,
		fmt.Errorf("link %s is still there after %s", name, goneTimeout))
	defer cancel()
	return poll(ctx, func() (bool, error) {
		link, err := linkByName(h, name)
		return link == nil && err == nil, err
	})
}

// waitUp waits until links are in service, after both ends are up: a host end,
// then what it carries. Carrier comes by way of the kernel's link watch; until
// that has run for each, a bridge drops what a port sends and a device drops what
// it is given, and a lost first packet costs a second. Asking for a link makes
// the watch run at once; kernels before 6.9 take their time, a second at worst.
func waitUp(ctx context.Context, ns *os.File, names ...string) error {
	return withRoutes(ns, func(h *netlink.Handle) error {
		for _, name := range names {
			if err := waitOneUp(ctx, h, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func waitOneUp(ctx context.Context, h *netlink.Handle, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("link %s has no carrier after %s", name, upTimeout))
	defer cancel()
	return poll(ctx, func() (bool, error) {
		l, err := h.LinkByName(name)
		if err != nil {
			return false, fmt.Errorf("wait for carrier of %s: %w", name, err)
		}
		return l.Attrs().OperState == netlink.OperUp, nil
	})
}

// linkByName is the link, or nil if there is none.
func linkByName(h *netlink.Handle, name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if err == nil {
		return link, nil
	}
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) || isGone(err) {
		return nil, nil
	}
	return nil, fmt.Errorf("look up link %s: %w", name, err)
}

func isGone(err error) bool { return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) }

// ensureBridge makes the bridge, without STP, snooping or addresses, and brings
// it up.
func ensureBridge(h *netlink.Handle, name string, mac MAC, alias string) (netlink.Link, error) {
	br, err := linkByName(h, name)
	if err != nil {
		return nil, err
	}
	if br == nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		attrs.HardwareAddr = net.HardwareAddr(mac[:])
		snooping := false
		if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
			return nil, fmt.Errorf("make bridge %s: %w", name, err)
		}
		if br, err = h.LinkByName(name); err != nil {
			return nil, fmt.Errorf("find bridge %s just made: %w", name, err)
		}
	}
	if br.Type() != "bridge" {
		return nil, fmt.Errorf("link %s: is a %s, not the bridge that belongs there", name, br.Type())
	}
	if err := h.LinkSetAlias(br, alias); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", name, err)
	}
	if err := h.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("bring up bridge %s: %w", name, err)
	}
	return br, nil
}

// ports names the links that are neither loopback nor bridge nor except.
func ports(h *netlink.Handle, except ...string) ([]string, error) {
	links, err := whole(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var names []string
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 || l.Type() == "bridge" || slices.Contains(except, a.Name) || isFallback(l) {
			continue
		}
		names = append(names, a.Name)
	}
	return names, nil
}

// isFallback tells the devices that the kernel puts into every new namespace by
// itself (tunnel fallbacks, ifb) from those that someone made.
func isFallback(l netlink.Link) bool {
	switch l.Type() {
	case "ipip", "gre", "gretap", "erspan", "sit", "ip6tnl", "ip6gre", "vti", "vti6", "ifb", "dummy":
		return true
	}
	return false
}

// everywhere is the destination of a default route.
func everywhere() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

func hostNet(a netip.Addr) *net.IPNet { return prefixNet(netip.PrefixFrom(a, a.BitLen())) }

func prefixNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addAddress(h *netlink.Handle, link netlink.Link, p netip.Prefix) error {
	if err := h.AddrReplace(link, &netlink.Addr{IPNet: prefixNet(p)}); err != nil {
		return fmt.Errorf("give %s address %s: %w", link.Attrs().Name, p, err)
	}
	return nil
}

// addNeighbour fixes a neighbour's MAC: nobody asks for it, and nobody can lie
// about it. Permanent entries don't count against the table that all
// namespaces share (T16).
func addNeighbour(h *netlink.Handle, link netlink.Link, a netip.Addr, mac MAC) error {
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, Family: netlink.FAMILY_V4,
		IP: a.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:]),
	})
	if err != nil {
		return fmt.Errorf("fix neighbour %s on %s: %w", a, link.Attrs().Name, err)
	}
	return nil
}

// fixPort has the bridge know which port a MAC is at, for good: by the straight
// way it hears nothing of it, would forget it, and show every port what is for
// this one; and what comes from another host in its name changes nothing.
func fixPort(h *netlink.Handle, port netlink.Link, mac MAC) error {
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: port.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP,
		Flags: netlink.NTF_MASTER | netlink.NTF_STICKY, HardwareAddr: net.HardwareAddr(mac[:]),
	})
	if err != nil {
		return fmt.Errorf("fix %s at port %s: %w", mac, port.Attrs().Name, err)
	}
	return nil
}

func addRoute(h *netlink.Handle, r *netlink.Route) error {
	if err := h.RouteReplace(r); err != nil {
		return fmt.Errorf("add route %s: %w", r, err)
	}
	return nil
}
