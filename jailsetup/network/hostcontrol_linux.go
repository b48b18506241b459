package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// HostControl is the step that makes the host's control network: the control
// namespace with its filters, the bridge, the uplink, the host's route.
type HostControl struct{ Control Control }

func (s HostControl) String() string { return "make control network " + s.Control.String() }

// Undo is the removal, which leaves the network if jails are still on it.
func (s HostControl) Undo() ([]plan.Undo, error) {
	return oneUndo(KindHostControl, hostControlUndo{RunDir: s.Control.RunDir, Uplink: s.Control.Uplink})
}

// Do is [EnsureControl].
func (s HostControl) Do(ctx context.Context, _ *plan.State) error {
	return EnsureControl(ctx, s.Control)
}

type hostControlUndo struct {
	RunDir string `json:"run_dir"`
	Uplink string `json:"uplink"`
}

// InUseError says that jails are still on the network.
type InUseError struct{ Ports []string }

func (e *InUseError) Error() string {
	return "control network is in use by " + strings.Join(e.Ports, " ")
}

// EnsureControl makes the control network, or what is missing of it, and makes
// the host's listed ports what c says. Running jails don't notice. It begins
// with [Control.Check] and changes nothing if that fails.
func EnsureControl(ctx context.Context, c Control) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	unlock, err := lock(ctx, c.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeOther(ctx, c); err != nil {
		return err
	}
	ns, _, err := ensurePin(c.RunDir, controlPin)
	if err != nil {
		return fmt.Errorf("make control namespace: %w", err)
	}
	defer ns.Close()
	err = In(ns, func() error {
		// Settings, then filters, then links: there is no moment at which a
		// frame finds a link without them (T23).
		if err := writeSysctls(controlSysctls()); err != nil {
			return err
		}
		if err := apply(controlTables(c)...); err != nil {
			return err
		}
		return setHostPorts(c.HostPorts)
	})
	if err != nil {
		return fmt.Errorf("set up control namespace: %w", err)
	}
	if err := withRoutes(ns, func(h *netlink.Handle) error { return ensureControlBridge(h, c) }); err != nil {
		return fmt.Errorf("set up control bridge: %w", err)
	}
	if err := ensureUplink(ctx, c, ns); err != nil {
		return fmt.Errorf("set up control uplink: %w", err)
	}
	return nil
}

// removeOther removes a control network that stands with other addresses than
// c's, made by earlier settings. With jails on it that is an [*InUseError].
func removeOther(ctx context.Context, c Control) error {
	ns, err := openPin(c.RunDir, controlPin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open control namespace: %w", err)
	}
	defer ns.Close()
	same := false
	err = withRoutes(ns, func(h *netlink.Handle) (err error) {
		same, err = standsAs(h, c)
		return err
	})
	if err != nil || same {
		return err
	}
	if err := removeLocked(ctx, hostControlUndo{RunDir: c.RunDir, Uplink: c.Uplink}); err != nil {
		return fmt.Errorf("change control network to %s: %w", c, err)
	}
	return nil
}

// standsAs says whether what stands has the addresses of c, as far as it stands.
func standsAs(h *netlink.Handle, c Control) (bool, error) {
	for _, want := range []struct {
		dev    string
		addr   string
		routes []string
	}{
		{controlBridge, c.Gateway.String() + "/32", []string{c.Jails.Masked().String(), c.Pool.Masked().String()}},
		{controlUplink, "", []string{c.Host.String() + "/32", prefixNet(everywhere()).String()}},
	} {
		l, err := linkByName(h, want.dev)
		if err != nil {
			return false, err
		}
		if l == nil {
			continue
		}
		addrs, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_V4) })
		if err != nil {
			return false, fmt.Errorf("list addresses of %s: %w", want.dev, err)
		}
		routes, err := whole(func() ([]netlink.Route, error) { return h.RouteList(l, netlink.FAMILY_V4) })
		if err != nil {
			return false, fmt.Errorf("list routes of %s: %w", want.dev, err)
		}
		for _, a := range addrs {
			if a.IPNet.String() != want.addr {
				return false, nil
			}
		}
		for _, r := range routes {
			if r.Dst != nil && !slices.Contains(want.routes, r.Dst.String()) {
				return false, nil
			}
		}
	}
	return true, nil
}

func controlSysctls() []sysctl {
	return append(quietSysctls(),
		sysctl{"ipv4/ip_forward", "1", false},
		// ip_forward turns redirects' defaults over: write them after it.
		sysctl{"ipv4/conf/all/accept_redirects", "0", false},
		sysctl{"ipv4/conf/default/accept_redirects", "0", false},
		sysctl{"ipv4/conf/all/rp_filter", "1", false},
		sysctl{"ipv4/conf/default/rp_filter", "1", false},
		sysctl{"ipv4/conf/all/arp_ignore", "1", false},
		sysctl{"ipv4/conf/all/log_martians", "0", false},
		sysctl{"ipv4/conf/default/log_martians", "0", false},
		// An idle connection's entry lives five days by default and counts
		// against the jail's share.
		sysctl{"netfilter/nf_conntrack_tcp_timeout_established", "7200", true},
	)
}

func ensureControlBridge(h *netlink.Handle, c Control) error {
	br, err := ensureBridge(h, controlBridge, ControlMAC(c.Gateway), "control network")
	if err != nil {
		return err
	}
	if err := addAddress(h, br, netip.PrefixFrom(c.Gateway, 32)); err != nil {
		return err
	}
	for _, p := range []netip.Prefix{c.Jails, c.Pool} {
		err := addRoute(h, &netlink.Route{
			LinkIndex: br.Attrs().Index, Dst: prefixNet(p), Scope: netlink.SCOPE_LINK, Src: c.Gateway.AsSlice(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ensureUplink joins the host's namespace, which is the caller's, with the
// control namespace.
func ensureUplink(ctx context.Context, c Control, ns *os.File) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := linkByName(h, c.Uplink)
	if err != nil {
		return err
	}
	if link != nil && !isUplink(link, c) {
		return fmt.Errorf("device %s exists and is not ours (setting: control uplink)", c.Uplink)
	}
	// What can't be looked up isn't missing: running jails stand on it.
	stands, err := hasLink(ns, controlUplink)
	if err != nil {
		return err
	}
	if link == nil || !stands {
		if link, err = makeUplink(ctx, h, c, ns); err != nil {
			return err
		}
	}
	err = withRoutes(ns, func(h *netlink.Handle) error { return setUpRouterEnd(h, c) })
	if err != nil {
		return err
	}
	if err := setUpHostEnd(h, c, link); err != nil {
		return err
	}
	return waitUp(ctx, ns, controlUplink)
}

const uplinkAlias = "emulab jails: control uplink"

func isUplink(l netlink.Link, c Control) bool {
	mac := uplinkHostMAC(c)
	return l.Type() == "veth" && (slices.Equal(l.Attrs().HardwareAddr, mac[:]) || l.Attrs().Alias == uplinkAlias)
}

// hasLink says whether the namespace has the link; it doesn't take a look that
// went wrong for a no.
func hasLink(ns *os.File, name string) (found bool, err error) {
	err = withRoutes(ns, func(h *netlink.Handle) error {
		l, err := linkByName(h, name)
		found = l != nil
		return err
	})
	return found, err
}

func makeUplink(ctx context.Context, h *netlink.Handle, c Control, ns *os.File) (netlink.Link, error) {
	// Half of an uplink, or one to a namespace that is lost, is made anew.
	if err := deleteLink(ctx, h, c.Uplink); err != nil {
		return nil, err
	}
	err := withRoutes(ns, func(h *netlink.Handle) error { return deleteLink(ctx, h, controlUplink) })
	if err != nil {
		return nil, err
	}
	return addPair(ctx, h, pair{
		name: c.Uplink, mac: uplinkHostMAC(c), peer: controlUplink, peerMAC: uplinkRouterMAC(c),
		peerNS: ns, alias: uplinkAlias,
	})
}

func setUpRouterEnd(h *netlink.Handle, c Control) error {
	up, err := h.LinkByName(controlUplink)
	if err != nil {
		return fmt.Errorf("find %s: %w", controlUplink, err)
	}
	if err := h.LinkSetUp(up); err != nil {
		return fmt.Errorf("bring up %s: %w", controlUplink, err)
	}
	if err := addNeighbour(h, up, c.Host, uplinkHostMAC(c)); err != nil {
		return err
	}
	err = addRoute(h, &netlink.Route{
		LinkIndex: up.Attrs().Index, Dst: hostNet(c.Host), Scope: netlink.SCOPE_LINK, Src: c.Gateway.AsSlice(),
	})
	if err != nil {
		return err
	}
	// For jails that share the host's address; the filter lets nobody else out.
	return addRoute(h, &netlink.Route{
		LinkIndex: up.Attrs().Index, Dst: prefixNet(everywhere()), Gw: c.Host.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
	})
}

// setUpHostEnd gives the host its control address and one route. The device
// speaks IPv4 with one neighbour only, so no jail can make it learn anything.
func setUpHostEnd(h *netlink.Handle, c Control, link netlink.Link) error {
	err := writeSysctls([]sysctl{
		{"ipv6/conf/" + c.Uplink + "/disable_ipv6", "1", true},
		{"ipv6/conf/" + c.Uplink + "/accept_ra", "0", true},
		{"ipv4/conf/" + c.Uplink + "/accept_redirects", "0", false},
		{"ipv4/conf/" + c.Uplink + "/send_redirects", "0", false},
	})
	if err != nil {
		return err
	}
	if err := addAddress(h, link, netip.PrefixFrom(c.Host, 32)); err != nil {
		return err
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", c.Uplink, err)
	}
	if err := addNeighbour(h, link, c.Gateway, uplinkRouterMAC(c)); err != nil {
		return err
	}
	index, src := link.Attrs().Index, net.IP(c.Host.AsSlice())
	err = addRoute(h, &netlink.Route{LinkIndex: index, Dst: hostNet(c.Gateway), Scope: netlink.SCOPE_LINK, Src: src})
	if err != nil {
		return err
	}
	return addRoute(h, &netlink.Route{
		LinkIndex: index, Dst: prefixNet(c.Jails), Gw: c.Gateway.AsSlice(), Src: src, Flags: int(netlink.FLAG_ONLINK),
	})
}

// RemoveControl removes the control network. With jails on it, it does nothing
// and says so with an [*InUseError].
func RemoveControl(ctx context.Context, c Control) error {
	return removeControl(ctx, hostControlUndo{RunDir: c.RunDir, Uplink: c.Uplink})
}

func removeControl(ctx context.Context, u hostControlUndo) error {
	unlock, err := lock(ctx, u.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	return removeLocked(ctx, u)
}

func removeLocked(ctx context.Context, u hostControlUndo) error {
	ns, err := openPin(u.RunDir, controlPin)
	if errors.Is(err, fs.ErrNotExist) {
		return removePin(u.RunDir, controlPin)
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	err = withRoutes(ns, func(h *netlink.Handle) error {
		names, err := ports(h, controlUplink)
		if err == nil && len(names) > 0 {
			err = &InUseError{Ports: names}
		}
		if err != nil {
			return err
		}
		// The peer, the addresses and the routes on the host's side go with it.
		return deleteLink(ctx, h, controlUplink)
	})
	if err != nil {
		return err
	}
	if err := waitUplinkGone(ctx, u.Uplink); err != nil {
		return err
	}
	return removePin(u.RunDir, controlPin)
}

func waitUplinkGone(ctx context.Context, uplink string) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := linkByName(h, uplink)
	if err != nil || link == nil || link.Attrs().Alias != uplinkAlias {
		return err
	}
	return deleteLink(ctx, h, uplink)
}
