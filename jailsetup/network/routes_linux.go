package network

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// Route is a route of a jail into its experiment.
type Route struct {
	Dest netip.Prefix
	Via  netip.Addr // the next node's, on a LAN of the jail's
	// Src is the jail's address on that LAN, which tells the interface where Via
	// doesn't: several may have the same prefix. Invalid: the first interface
	// whose prefix holds Via.
	Src netip.Addr
}

func (r Route) String() string {
	if r.Src.IsValid() {
		return fmt.Sprintf("%s via %s by %s", r.Dest, r.Via, r.Src)
	}
	return fmt.Sprintf("%s via %s", r.Dest, r.Via)
}

// Routes is the step that puts routes into a jail, after its links. They die
// with the namespace: there is no undo.
type Routes struct {
	Control Control // its prefix stays reachable whatever a default route says
	Type    string  // static, manual …: tmcd's word, for people
	List    []Route
}

// String names the routes, a line each.
func (s Routes) String() string {
	text := fmt.Sprintf("set %d routes (%s)", len(s.List), s.Type)
	for _, r := range s.List {
		text += "\n      " + r.String()
	}
	return text
}

// Undo is nothing.
func (s Routes) Undo() ([]plan.Undo, error) { return nil, nil }

// Do sets the routes. One that can't be is an error, which names it.
func (s Routes) Do(ctx context.Context, st *plan.State) error {
	if err := checkNamespace(st); err != nil {
		return err
	}
	return withRoutes(st.NetNS, func(h *netlink.Handle) error {
		own, err := ownAddresses(h)
		if err != nil {
			return err
		}
		for _, r := range s.List {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if r.Dest.Bits() == 0 {
				if err := s.keepControl(h); err != nil {
					return err
				}
			}
			if err := r.add(h, own); err != nil {
				return err
			}
		}
		return nil
	})
}

// ownAddress is an address of the jail's with its prefix.
type ownAddress struct {
	index  int
	prefix netip.Prefix
}

func ownAddresses(h *netlink.Handle) ([]ownAddress, error) {
	list, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var own []ownAddress
	for _, a := range list {
		addr, ok := netip.AddrFromSlice(a.IP)
		ones, _ := a.Mask.Size()
		if ok && !addr.IsLoopback() {
			own = append(own, ownAddress{a.LinkIndex, netip.PrefixFrom(addr.Unmap(), ones)})
		}
	}
	return own, nil
}

func (r Route) add(h *netlink.Handle, own []ownAddress) error {
	for _, a := range own {
		mine := r.Src == a.prefix.Addr() || !r.Src.IsValid() && a.prefix.Contains(r.Via) && a.prefix.Addr() != r.Via
		if !mine {
			continue
		}
		route := &netlink.Route{LinkIndex: a.index, Dst: prefixNet(r.Dest.Masked()), Gw: r.Via.AsSlice()}
		if !a.prefix.Contains(r.Via) {
			route.Flags = int(netlink.FLAG_ONLINK)
		}
		return addRoute(h, route)
	}
	if r.Src.IsValid() {
		return fmt.Errorf("route %s: no interface has that address", r)
	}
	return fmt.Errorf("route %s: the next node is on no LAN of this one", r)
}

// keepControl leads to the control network before a default route of the
// experiment's takes the place of ours.
func (s Routes) keepControl(h *netlink.Handle) error {
	l, err := h.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find eth0: %w", err)
	}
	return addRoute(h, &netlink.Route{
		LinkIndex: l.Attrs().Index, Dst: prefixNet(s.Control.Prefix), Gw: s.Control.Gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
	})
}
