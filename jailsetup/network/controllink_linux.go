package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// ControlLink is the step that gives a jail its control interface: eth0 with
// the jail's address, whose only way out is the gateway. [HostControl] comes
// before it, [Inside] too.
type ControlLink struct {
	Control    Control
	VNode      string
	Experiment string     // "pid/eid": jails of the same one reach each other
	Addr       netip.Addr // JAILIP, one of Control.Jails; or a private one, of Control.Pool
	MAC        MAC        // CTRLMAC; zero: [ControlMAC] of Addr
	Name       string     // inside; empty: eth0
	Generation uint64     // boot serial: grows with each boot of this vnode
	Group      uint32     // device group of this jail's links, unique on the host; 0: none
}

type controlLinkUndo struct {
	RunDir     string     `json:"run_dir"`
	VNode      string     `json:"vnode"`
	Experiment string     `json:"experiment"`
	Link       string     `json:"link"`
	Addr       netip.Addr `json:"addr"`
	MAC        MAC        `json:"mac"`
	Group      uint32     `json:"group,omitempty"`
}

func (s ControlLink) String() string {
	return fmt.Sprintf("make control interface %s of %s: %s, MAC %s, by %s", s.name(), s.VNode, s.Addr, s.mac(), s.Control.Gateway)
}

func (s ControlLink) name() string {
	if s.Name == "" {
		return "eth0"
	}
	return s.Name
}

func (s ControlLink) mac() MAC {
	if s.MAC == (MAC{}) && s.Addr.Is4() {
		return ControlMAC(s.Addr)
	}
	return s.MAC
}

// Undo is the link's name, which nobody else has or gets, and the address.
func (s ControlLink) Undo() ([]plan.Undo, error) {
	host, err := hostEnd(s.VNode, 0, s.Generation)
	if err != nil {
		return nil, err
	}
	return oneUndo(KindControlLink, controlLinkUndo{
		RunDir: s.Control.RunDir, VNode: s.VNode, Experiment: s.Experiment,
		Link: host, Addr: s.Addr, MAC: s.mac(), Group: s.Group,
	})
}

func (s ControlLink) check() error {
	if err := s.Control.CheckJail(s.Addr); err != nil {
		return err
	}
	if s.Experiment == "" {
		return errors.New("control link: no experiment")
	}
	if err := checkIfName(s.name()); err != nil {
		return err
	}
	return s.mac().Validate()
}

// Do makes the link. What may be sent is set before it is there.
func (s ControlLink) Do(ctx context.Context, st *plan.State) error {
	if err := errors.Join(s.check(), checkNamespace(st)); err != nil {
		return err
	}
	host, err := hostEnd(s.VNode, 0, s.Generation)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, s.Control.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	ns, err := openPin(s.Control.RunDir, controlPin)
	if err != nil {
		return fmt.Errorf("open control namespace: %w", err)
	}
	defer ns.Close()
	err = In(ns, func() error {
		if err := put(newControlSets().of(host, s.mac(), s.Addr, s.Experiment)); err != nil {
			return err
		}
		return s.makeHostEnd(ctx, host, st)
	})
	if err != nil {
		return err
	}
	err = setUpInside(st.NetNS, s.name(), []sysctl{
		// Nothing but IPv4 passes the filter.
		{"ipv6/conf/" + s.name() + "/disable_ipv6", "1", true},
	}, s.setUp)
	if err != nil {
		return err
	}
	// The bridge has a carrier from its first port on.
	return waitUp(ctx, ns, host, controlBridge)
}

func (s ControlLink) makeHostEnd(ctx context.Context, host string, st *plan.State) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	br, err := h.LinkByName(controlBridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", controlBridge, err)
	}
	l, err := addPair(ctx, h, pair{
		name: host, mac: hostEndMAC(host), master: br.Attrs().Index, group: s.Group,
		peer: s.name(), peerMAC: s.mac(), peerNS: st.NetNS,
		alias: s.VNode + " " + s.name(),
	})
	if err != nil {
		return err
	}
	// The bridge table drops what goes from port to port; an isolated port
	// isn't even sent a copy of it.
	if err := h.LinkSetIsolated(l, true); err != nil {
		return fmt.Errorf("isolate port %s: %w", host, err)
	}
	if err := addNeighbour(h, br, s.Addr, s.mac()); err != nil {
		return err
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", host, err)
	}
	return nil
}

// setUp gives the interface its address as a /32: everything else, siblings
// included, is behind the gateway (spec jail.md §2.7).
func (s ControlLink) setUp(h *netlink.Handle, l netlink.Link) error {
	if err := addAddress(h, l, netip.PrefixFrom(s.Addr, 32)); err != nil {
		return err
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", s.name(), err)
	}
	if err := addNeighbour(h, l, s.Control.Gateway, ControlMAC(s.Control.Gateway)); err != nil {
		return err
	}
	return addRoute(h, &netlink.Route{
		LinkIndex: l.Attrs().Index, Dst: prefixNet(everywhere()),
		Gw: s.Control.Gateway.AsSlice(), Src: s.Addr.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
	})
}

// undoControlLink first forbids, then forgets, then deletes.
func undoControlLink(ctx context.Context, u controlLinkUndo) error {
	ns, err := openPin(u.RunDir, controlPin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open control namespace: %w", err)
	}
	defer ns.Close()
	return In(ns, func() error {
		if err := take(newControlSets().of(u.Link, u.MAC, u.Addr, u.Experiment)); err != nil {
			return err
		}
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		if err := u.forget(h); err != nil {
			return err
		}
		return deleteJailLinks(ctx, h, u.VNode, u.Link, u.Group)
	})
}

// forget removes what the router knows of the address: who gets it next starts
// without the connections of this jail (T50).
func (u controlLinkUndo) forget(h *netlink.Handle) error {
	ip := net.IP(u.Addr.AsSlice())
	err := forgetFlows(func(f *netlink.ConntrackFlow) bool {
		return f.Forward.SrcIP.Equal(ip) || f.Forward.DstIP.Equal(ip)
	})
	if err != nil {
		return err
	}
	br, err := linkByName(h, controlBridge)
	if br == nil {
		return err
	}
	err = h.NeighDel(&netlink.Neigh{LinkIndex: br.Attrs().Index, Family: netlink.FAMILY_V4, IP: ip})
	if err != nil && !errors.Is(err, unix.ENOENT) && !isGone(err) {
		return fmt.Errorf("forget neighbour %s: %w", u.Addr, err)
	}
	return nil
}
