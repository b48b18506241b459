package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// Inside is the step that prepares a jail's network namespace, before it has a
// link: loopback up, and the settings that the jail can't write itself when its
// /proc/sys is read-only. It leaves nothing outside the namespace, so it needs
// no undo.
type Inside struct {
	// IDBase is the host's id for the jail's root; its 65,536 ids may use ping
	// sockets. The kernel takes the range as the writer counts (spec/linux.md §5).
	IDBase uint32
	// PortStart is the first port that needs no privilege to bind, 0 for the
	// kernel's 1024.
	PortStart uint16
	// PortLow and PortHigh bound the ports that the kernel chooses, for a jail
	// with a shared address (spec/linux.md §8); both 0 for the kernel's range.
	PortLow, PortHigh uint16
	// Forward lets the jail route between its links (ROUTING=1).
	Forward bool
}

func (s Inside) String() string {
	words := []string{fmt.Sprintf("prepare network namespace: lo up, ping for ids %d-%d", s.IDBase, s.lastID())}
	if s.PortStart != 0 {
		words = append(words, fmt.Sprintf("unprivileged ports from %d", s.PortStart))
	}
	if s.PortLow != 0 {
		words = append(words, fmt.Sprintf("ports %d-%d", s.PortLow, s.PortHigh))
	}
	if s.Forward {
		words = append(words, "forwarding")
	}
	return strings.Join(words, ", ")
}

func (s Inside) lastID() uint32 { return s.IDBase + 65535 }

// Undo is nothing: the settings die with the namespace.
func (s Inside) Undo() ([]plan.Undo, error) { return nil, nil }

// Do writes the settings and brings loopback up.
func (s Inside) Do(ctx context.Context, st *plan.State) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if (s.PortLow == 0) != (s.PortHigh == 0) || s.PortLow > s.PortHigh {
		return fmt.Errorf("port range %d-%d: want the lower one first", s.PortLow, s.PortHigh)
	}
	return In(st.NetNS, func() error {
		if err := writeSysctls(s.sysctls()); err != nil {
			return err
		}
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		lo, err := h.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("find lo: %w", err)
		}
		if err := h.LinkSetUp(lo); err != nil {
			return fmt.Errorf("bring up lo: %w", err)
		}
		return nil
	})
}

func (s Inside) sysctls() []sysctl {
	list := []sysctl{
		{"ipv4/ping_group_range", fmt.Sprintf("%d %d", s.IDBase, s.lastID()), false},
		// A link answers and asks for its own addresses only: what it says by
		// ARP in another's name, the filter drops.
		{"ipv4/conf/all/arp_ignore", "1", false},
		{"ipv4/conf/all/arp_announce", "2", false},
		// Routes may be asymmetric in an experiment.
		{"ipv4/conf/all/rp_filter", "0", false},
		{"ipv4/conf/default/rp_filter", "0", false},
		{"ipv6/conf/all/accept_ra", "0", true},
		{"ipv6/conf/default/accept_ra", "0", true},
		// Link-local addresses from the MAC, as the filter expects them.
		{"ipv6/conf/default/addr_gen_mode", "0", true},
	}
	forward := "0"
	if s.Forward {
		forward = "1"
	}
	list = append(list,
		sysctl{"ipv4/ip_forward", forward, false},
		// What a capture socket sends by the loopback device is no socket's when it
		// comes back by it: forwarded, it would leave with any source (S11).
		sysctl{"ipv4/conf/lo/forwarding", "0", false},
		sysctl{"ipv4/conf/all/accept_redirects", "0", false},
		sysctl{"ipv4/conf/default/accept_redirects", "0", false},
		sysctl{"ipv4/conf/all/send_redirects", "0", false},
		sysctl{"ipv4/conf/default/send_redirects", "0", false},
	)
	if s.PortLow != 0 {
		// First: an unprivileged start inside the range is refused.
		list = append(list,
			sysctl{"ipv4/ip_unprivileged_port_start", "0", false},
			sysctl{"ipv4/ip_local_port_range", fmt.Sprintf("%d %d", s.PortLow, s.PortHigh), false})
	}
	if s.PortStart != 0 {
		list = append(list, sysctl{"ipv4/ip_unprivileged_port_start", fmt.Sprint(s.PortStart), false})
	}
	return list
}

// setUpInside configures a link inside a jail and brings it up.
func setUpInside(ns *os.File, name string, before []sysctl, f func(h *netlink.Handle, l netlink.Link) error) error {
	err := In(ns, func() error {
		if err := writeSysctls(before); err != nil {
			return err
		}
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		l, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		return f(h, l)
	})
	if err != nil {
		return fmt.Errorf("set up %s inside: %w", name, err)
	}
	return nil
}

// checkNamespace refuses a state in which no jail has been started yet.
func checkNamespace(s *plan.State) error {
	if s == nil || s.NetNS == nil {
		return errors.New("no network namespace: the jail's first process isn't started")
	}
	return nil
}
