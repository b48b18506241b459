package network

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddHostPort lets jails reach a port of the host, at once. The list that
// [EnsureControl] is given counts again at its next call.
func AddHostPort(ctx context.Context, c Control, p Port) error {
	if err := p.Validate(); err != nil {
		return err
	}
	return inControl(ctx, c, func() error {
		return put(portEntries(p))
	})
}

// RemoveHostPort closes the port to jails, and cuts the connections they have
// to it. That it wasn't open is no error.
func RemoveHostPort(ctx context.Context, c Control, p Port) error {
	return inControl(ctx, c, func() error {
		if err := take(portEntries(p)); err != nil {
			return err
		}
		return forgetFlows(func(f *netlink.ConntrackFlow) bool {
			return f.Forward.Protocol == uint8(p.Proto) && f.Forward.DstPort == p.Number &&
				f.Forward.DstIP.Equal(net.IP(c.Host.AsSlice()))
		})
	})
}

// ListHostPorts is what jails may reach of the host, tcp first, by number.
func ListHostPorts(ctx context.Context, c Control) ([]Port, error) {
	var out []Port
	err := inControl(ctx, c, func() (err error) {
		out, err = hostPorts()
		return err
	})
	return out, err
}

func inControl(ctx context.Context, c Control, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ns, err := openPin(c.RunDir, controlPin)
	if err != nil {
		return fmt.Errorf("open control namespace: %w", err)
	}
	defer ns.Close()
	return In(ns, f)
}

// hostPorts lists the ports in the calling thread's namespace.
func hostPorts() ([]Port, error) {
	list, err := elements(newControlSets().hostPorts)
	if err != nil {
		return nil, err
	}
	var out []Port
	for _, e := range list {
		if len(e.Key) < 6 {
			return nil, fmt.Errorf("list host ports: key of %d bytes", len(e.Key))
		}
		out = append(out, Port{Proto: Proto(e.Key[0]), Number: uint16(e.Key[4])<<8 | uint16(e.Key[5])})
	}
	slices.SortFunc(out, func(a, b Port) int {
		return (int(a.Proto)<<16 | int(a.Number)) - (int(b.Proto)<<16 | int(b.Number))
	})
	return out, nil
}

// setHostPorts makes the set what want says.
func setHostPorts(want []Port) error {
	have, err := hostPorts()
	if err != nil {
		return err
	}
	var surplus []Port
	for _, p := range have {
		if !slices.Contains(want, p) {
			surplus = append(surplus, p)
		}
	}
	if err := put(portEntries(want...)); err != nil {
		return err
	}
	return take(portEntries(surplus...))
}

func portEntries(ports ...Port) []entries {
	e := entries{set: newControlSets().hostPorts}
	for _, p := range ports {
		e.list = append(e.list, nftables.SetElement{Key: key([]byte{byte(p.Proto)}, be16(p.Number))})
	}
	return []entries{e}
}

// flowFilter picks tracked connections.
type flowFilter func(f *netlink.ConntrackFlow) bool

// MatchConntrackFlow makes a function a filter of the netlink library.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

// forgetFlows makes the router forget connections, so that "established" lets
// none of their packets through: whoever gets the address or the port next
// starts without them.
func forgetFlows(which flowFilter) error {
	h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open conntrack socket: %w", err)
	}
	defer h.Close()
	if _, err := h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, which); err != nil {
		return fmt.Errorf("forget connections: %w", err)
	}
	return nil
}
