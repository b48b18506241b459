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

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// SharedAddress is the step that lets a jail without an address of its own use
// a range of the ports of the host's (spec jail.md §2.4, PORTRANGE): what comes
// to them at Control.Address reaches the jail's private address, and what the
// jail sends leaves from them. It comes before the jail's [ControlLink], which
// has the private address; [Inside] and package permit hold the jail to the
// range. It is the one step that needs a table in the host's own namespace; the
// last such jail's undo removes it.
type SharedAddress struct {
	Control   Control
	VNode     string
	Addr      netip.Addr // private, one of Control.Pool
	Low, High uint16     // of the range, both in it
}

type sharedAddressUndo struct {
	Control Control    `json:"control"`
	Addr    netip.Addr `json:"addr"`
	Low     uint16     `json:"low"`
	High    uint16     `json:"high"`
}

func (s SharedAddress) String() string {
	return fmt.Sprintf("share ports %d-%d of %s with %s: translated to %s", s.Low, s.High, s.Control.Address, s.VNode, s.Addr)
}

// Undo is all that the step was given.
func (s SharedAddress) Undo() ([]plan.Undo, error) {
	return oneUndo(KindSharedAddress, sharedAddressUndo{Control: s.Control, Addr: s.Addr, Low: s.Low, High: s.High})
}

// lowestShared is the first port that may be shared: below it the host's own
// services listen.
const lowestShared = 1024

func (s SharedAddress) check() error {
	if s.Low < lowestShared || s.High < s.Low {
		return fmt.Errorf("share ports %d-%d: want a range from %d up, the lower one first", s.Low, s.High, lowestShared)
	}
	if !s.Control.Pool.Contains(s.Addr) {
		return fmt.Errorf("share an address with %s: want a private one inside %s", s.Addr, s.Control.Pool)
	}
	return nil
}

// Do sets the rules, then the route by which the host reaches the jail.
func (s SharedAddress) Do(ctx context.Context, _ *plan.State) error {
	if err := s.check(); err != nil {
		return err
	}
	unlock, err := lock(ctx, s.Control.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.checkRoutes(ctx); err != nil {
		return err
	}
	ports := portRange{s.Low, s.High}
	if err := ensureHostTable(s.Control); err != nil {
		return err
	}
	if err := s.overlap(put(newHostSets().of(s.Addr, ports))); err != nil {
		return err
	}
	err = inControl(ctx, s.Control, func() error {
		return s.overlap(put(newControlSets().shared(s.Addr, ports)))
	})
	if err != nil {
		return err
	}
	return s.addRoute()
}

// overlap says what the kernel means when ranges overlap: the map takes none
// that another's elements lie in.
func (s SharedAddress) overlap(err error) error {
	if taken(err) {
		return fmt.Errorf("ports %d-%d overlap those of another jail on this host: %w", s.Low, s.High, err)
	}
	return err
}

func taken(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY)
}

// checkRoutes refuses a private address that the host knows as another's.
func (s SharedAddress) checkRoutes(ctx context.Context) error {
	routes, err := hostRoutes(ctx, s.Control.Uplink)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.prefix.Contains(s.Addr) {
			return fmt.Errorf("private address %s lies in the host's route %s dev %s (setting: control pool)", s.Addr, r.prefix, r.device)
		}
	}
	return nil
}

// addRoute leads the host to the private address, by the router.
func (s SharedAddress) addRoute() error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	up, err := h.LinkByName(s.Control.Uplink)
	if err != nil {
		return fmt.Errorf("find %s: %w", s.Control.Uplink, err)
	}
	return addRoute(h, &netlink.Route{
		LinkIndex: up.Attrs().Index, Dst: hostNet(s.Addr), Gw: s.Control.Gateway.AsSlice(),
		Src: s.Control.Host.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
	})
}

// ensureHostTable makes the host's namespace translate for jails, and forward
// to them what comes by the device of the shared address. A host that forwarded
// nothing by it still does so for nobody else: a chain of the table sees to it,
// and its name says what is to be taken back.
func ensureHostTable(c Control) error {
	guard, err := guarded()
	if err != nil {
		return err
	}
	device, err := deviceOf(c.Address)
	if err != nil {
		return err
	}
	if guard == "" && device != c.Uplink {
		on, err := forwards(device)
		if err != nil {
			return err
		}
		if !on {
			guard = device
		}
	}
	if err := apply(hostTable(c, guard)); err != nil {
		return err
	}
	return writeSysctls([]sysctl{forwarding(device, "1"), forwarding(c.Uplink, "1")})
}

func forwarding(device, value string) sysctl {
	return sysctl{"ipv4/conf/" + device + "/forwarding", value, false}
}

func forwards(device string) (bool, error) {
	b, err := os.ReadFile("/proc/sys/net/" + forwarding(device, "").path)
	return strings.TrimSpace(string(b)) == "1", err
}

// deviceOf names the host's device that has the address.
func deviceOf(a netip.Addr) (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("list the host's devices: %w", err)
	}
	for _, dev := range all {
		addrs, err := dev.Addrs()
		if err != nil {
			return "", fmt.Errorf("list addresses of %s: %w", dev.Name, err)
		}
		for _, x := range addrs {
			if n, ok := x.(*net.IPNet); ok && n.IP.Equal(a.AsSlice()) {
				return dev.Name, nil
			}
		}
	}
	return "", fmt.Errorf("no device of this host has the address %s (setting: control address)", a)
}

// guarded is the device that the table guards, if it stands.
func guarded() (string, error) {
	conn, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("open nftables socket: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return "", fmt.Errorf("list filter chains: %w", err)
	}
	for _, c := range chains {
		if device, ok := strings.CutPrefix(c.Name, guardPrefix); ok && c.Table.Name == sharedTable {
			return device, nil
		}
	}
	return "", nil
}

func undoSharedAddress(ctx context.Context, u sharedAddressUndo) error {
	unlock, err := lock(ctx, u.Control.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	ports := portRange{u.Low, u.High}
	if err := u.take(newHostSets().of(u.Addr, ports)); err != nil {
		return err
	}
	if err := u.forget(); err != nil {
		return err
	}
	err = inControl(ctx, u.Control, func() error {
		if err := u.take(newControlSets().shared(u.Addr, ports)); err != nil {
			return err
		}
		return u.forget()
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.removeRoute(); err != nil {
		return err
	}
	return u.removeTable()
}

// take removes the elements. Where another jail's range is, ours never was.
func (u sharedAddressUndo) take(list []entries) error {
	for _, e := range list {
		err := take([]entries{e})
		if err != nil && !taken(err) {
			return err
		}
	}
	return nil
}

// forget makes the kernel forget the jail's connections: who gets its ports
// next starts without them (T50).
func (u sharedAddressUndo) forget() error {
	ip := net.IP(u.Addr.AsSlice())
	return forgetFlows(func(f *netlink.ConntrackFlow) bool {
		return f.Forward.SrcIP.Equal(ip) || f.Reverse.SrcIP.Equal(ip) || f.Forward.DstIP.Equal(ip)
	})
}

func (u sharedAddressUndo) removeRoute() error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	up, err := linkByName(h, u.Control.Uplink)
	if up == nil {
		return err
	}
	err = h.RouteDel(&netlink.Route{LinkIndex: up.Attrs().Index, Dst: hostNet(u.Addr)})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("delete route to %s: %w", u.Addr, err)
	}
	return nil
}

// removeTable takes away what the host did for such jails, after the last one.
func (u sharedAddressUndo) removeTable() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	s := newHostSets()
	if stands, err := hasTable(conn, s.ranges.Table); err != nil || !stands {
		return err
	}
	left, err := conn.GetSetElements(s.ranges)
	if err != nil {
		return fmt.Errorf("list ranges of ports: %w", err)
	}
	if len(left) > 0 {
		return nil
	}
	guard, err := guarded()
	if err != nil {
		return err
	}
	general, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return err
	}
	// First the device, then its guard.
	list := []sysctl{{forwarding(u.Control.Uplink, "").path, strings.TrimSpace(string(general)), true}}
	if guard != "" {
		list = append(list, sysctl{forwarding(guard, "").path, "0", true})
	}
	if err := writeSysctls(list); err != nil {
		return err
	}
	conn.DelTable(s.ranges.Table)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove table %s: %w", sharedTable, err)
	}
	return nil
}

func hasTable(conn *nftables.Conn, t *nftables.Table) (bool, error) {
	all, err := conn.ListTablesOfFamily(t.Family)
	if err != nil {
		return false, fmt.Errorf("list tables: %w", err)
	}
	return slices.ContainsFunc(all, func(x *nftables.Table) bool { return x.Name == t.Name }), nil
}
