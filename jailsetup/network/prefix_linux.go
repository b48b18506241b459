package network

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Check says whether the control network can be made on this host: its settings
// are whole and no route of the host's own lies in the prefix. The error is a
// [*ConflictError] in the second case. Default routes don't count, nor do
// blackholes: they say that nobody is there.
func (c Control) Check(ctx context.Context) error {
	if err := c.Validate(); err != nil {
		return err
	}
	routes, err := hostRoutes(ctx, c.Uplink)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if c.Prefix.Overlaps(r.prefix) {
			return &ConflictError{Prefix: c.Prefix, Route: r.prefix, Device: r.device}
		}
	}
	return nil
}

// FreePrefix proposes a control prefix of the given length that no route of
// this host overlaps, in 172.16.0.0/12, then 10.0.0.0/8, then 192.168.0.0/16.
// Routes of the device uplink are our own and don't count.
func FreePrefix(ctx context.Context, bits int, uplink string) (netip.Prefix, error) {
	routes, err := hostRoutes(ctx, uplink)
	if err != nil {
		return netip.Prefix{}, err
	}
	taken := make([]netip.Prefix, 0, len(routes))
	for _, r := range routes {
		taken = append(taken, r.prefix)
	}
	p, ok := nextFree(bits, taken)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("find a free control prefix of %d bits: the host's routes leave none", bits)
	}
	return p, nil
}

type hostRoute struct {
	prefix netip.Prefix
	device string
}

// hostRoutes lists the IPv4 routes of all tables that claim addresses.
func hostRoutes(ctx context.Context, uplink string) ([]hostRoute, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := newRouteHandle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	names, err := linkNames(h)
	if err != nil {
		return nil, err
	}
	all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := whole(func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_V4, all, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	var out []hostRoute
	for _, r := range routes {
		dev := names[r.LinkIndex]
		p, ok := claimed(r)
		if ok && (dev == "" || dev != uplink) {
			out = append(out, hostRoute{p, dev})
		}
	}
	return out, nil
}

// claimed is the prefix that the route says someone uses. Prefixes of one bit
// are a default route in two halves, as some VPNs make.
func claimed(r netlink.Route) (netip.Prefix, bool) {
	switch r.Type {
	case unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_THROW:
		return netip.Prefix{}, false
	}
	if r.Dst == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	if !ok || bits <= 1 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr.Unmap(), bits).Masked(), true
}

func linkNames(h *netlink.Handle) (map[int]string, error) {
	links, err := whole(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names, nil
}
