//go:build linux && privileged

package network

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// From outside a jail is the ports of its range at the host's address, and
// nothing else; from inside there is the world, but not the host nor tmcd.
func TestSharedAddress(t *testing.T) {
	w := newTown(t)
	a, b := w.sharer(1, "p/one", 30000, 30255), w.sharer(2, "p/one", 31000, 31255)
	other := w.sharer(3, "p/two", 32000, 32255)
	own := w.jail(4, "p/one")
	any4 := netip.IPv4Unspecified()
	w.listen(a.ns, any4, 30001)
	w.listen(a.ns, any4, 31001)
	w.listen(b.ns, any4, 31001)
	w.listen(b.ns, any4, 31255)
	w.listen(other.ns, any4, 32001)
	w.listen(own.ns, any4, 5000)
	w.listen(nil, any4, 22)
	w.listen(nil, any4, tmcd)
	for _, port := range []uint16{80, tmcd, 14447, LinkPort} {
		w.listen(w.ns, any4, port)
	}
	for _, row := range []struct {
		name string
		from *os.File
		to   netip.Addr
		port uint16
		ok   bool
	}{
		{"outside to the jail", w.ns, w.address, 30001, true},
		{"outside to another jail, its highest port", w.ns, w.address, 31255, true},
		{"outside to a port of the range where nobody listens", w.ns, w.address, 30002, false},
		{"outside to a jail's port out of its range", w.ns, w.address, 31002, false},
		{"outside to the host itself", w.ns, w.address, 22, true},
		{"outside to the private address", w.ns, a.addr, 30001, false},
		{"the host to the jail", nil, w.address, 30001, true},
		{"the host to the private address", nil, a.addr, 30001, true},
		{"jail to sibling by the shared address", a.ns, w.address, 31001, true},
		{"jail to sibling by its private address", a.ns, b.addr, 31001, true},
		{"jail with an own address to sibling", own.ns, w.address, 31001, true},
		{"jail to sibling with an own address", a.ns, own.addr, 5000, true},
		{"jail to another experiment by the shared address", a.ns, w.address, 32001, false},
		{"jail to another experiment", a.ns, other.addr, 32001, false},
		{"jail to the world", a.ns, w.outside, 80, true},
		{"jail with an own address to the world", own.ns, w.outside, 80, false},
		{"jail to the host", a.ns, w.address, 22, false},
		{"jail to the host's control address", a.ns, w.c.Host, 22, false},
		{"jail to tmcd on the host", a.ns, w.address, tmcd, false},
		{"jail to tmcd elsewhere", a.ns, w.outside, tmcd, false},
		{"jail to tmcd's second port elsewhere", a.ns, w.outside, 14447, false},
		{"jail to the links of another host", a.ns, w.outside, LinkPort, false},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			if err := w.try(row.from, proto, row.to, row.port); (err == nil) != row.ok {
				t.Errorf("%s, %s: %v", row.name, proto, err)
			}
		}
	}
}

// What leaves a jail leaves from its range, whatever the jail chose.
func TestSharedSourcePorts(t *testing.T) {
	w := newTown(t)
	a := w.sharer(1, "p/one", 30000, 30003)
	to := netip.AddrPortFrom(w.outside, 80)
	from, err := w.peerPort(a.ns, w.ns, to)
	if err != nil {
		t.Fatal(err)
	}
	if from.Addr() != w.address || from.Port() < 30000 || from.Port() > 30003 {
		t.Errorf("the jail comes from %s", from)
	}
	// One that has found a way around the range: the translation puts it back.
	w.at(a.ns, func() error { return writeSysctls([]sysctl{{"ipv4/ip_local_port_range", "40000 40010", false}}) })
	if from, err = w.peerPort(a.ns, w.ns, to); err != nil {
		t.Fatal(err)
	}
	if from.Addr() != w.address || from.Port() < 30000 || from.Port() > 30003 {
		t.Errorf("the jail comes from %s with another range of its own", from)
	}
}

// Each wall's doing: without it the attempt goes through.
func TestSharedWalls(t *testing.T) {
	w := newTown(t)
	a, other := w.sharer(1, "p/one", 30000, 30255), w.sharer(2, "p/two", 31000, 31255)
	any4 := netip.IPv4Unspecified()
	w.listen(nil, any4, 22)
	w.listen(w.ns, any4, tmcd)
	w.listen(other.ns, any4, 31001)
	tests := func() []error {
		return []error{w.tcp(a.ns, w.address, 22), w.tcp(a.ns, w.outside, tmcd), w.tcp(a.ns, other.addr, 31001)}
	}
	for i, err := range tests() {
		if err == nil {
			t.Errorf("attempt %d went through", i)
		}
	}
	control, err := openPin(w.c.RunDir, controlPin)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	takeWallsAway(t, control, nftables.TableFamilyINet)
	if err := inputRules(sharedTable); err != nil {
		t.Fatal(err)
	}
	for i, err := range tests() {
		if err != nil {
			t.Errorf("attempt %d without walls: %v", i, err)
		}
	}
}

// inputRules empties the input chain of the host's table.
func inputRules(table string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	chains, err := conn.ListChains()
	if err != nil {
		return err
	}
	for _, c := range chains {
		if c.Table.Name == table && c.Name == "input" {
			conn.FlushChain(c)
		}
	}
	return conn.Flush()
}

// Ranges that overlap are refused, and the refused jail's undo leaves the
// other's alone.
func TestSharedOverlap(t *testing.T) {
	w := newTown(t)
	a := w.sharer(1, "p/one", 30000, 30255)
	w.listen(a.ns, netip.IPv4Unspecified(), 30001)
	for _, row := range []struct {
		name      string
		low, high uint16
		want      string
	}{
		{"the same", 30000, 30255, "overlap those of another jail"},
		{"its end", 30255, 30300, "overlap those of another jail"},
		{"its beginning", 29000, 30000, "overlap those of another jail"},
		{"inside", 30010, 30020, "overlap those of another jail"},
		{"around", 29000, 31000, "overlap those of another jail"},
		{"the host's", 22, 22, "want a range from 1024 up"},
		{"upside down", 31255, 31000, "the lower one first"},
	} {
		s := SharedAddress{Control: w.c, VNode: "pcvm1-9", Addr: netip.MustParseAddr("100.64.0.9"), Low: row.low, High: row.high}
		err := s.Do(w.ctx, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
		w.unwind([]plan.Undo{must(s.Undo())})
		if err := w.tcp(w.ns, w.address, 30001); err != nil {
			t.Errorf("%s: the first jail lost its ports: %v", row.name, err)
		}
	}
	next := w.sharer(2, "p/one", 30256, 30300)
	w.listen(next.ns, netip.IPv4Unspecified(), 30256)
	if err := w.tcp(w.ns, w.address, 30256); err != nil {
		t.Errorf("the next range: %v", err)
	}
}

// A connection ends with the jail; the next one with its ports gets none of it.
// Nothing is left after the last, in the host's namespace either.
func TestSharedUndo(t *testing.T) {
	w := newTown(t)
	before, host := w.listing(), sharingState(t)
	a := w.sharer(1, "p/one", 30000, 30255)
	again := SharedAddress{Control: w.c, VNode: a.vnode, Addr: a.addr, Low: 30000, High: 30255}
	if err := again.Do(w.ctx, nil); err != nil { // as after kill -9
		t.Fatal(err)
	}
	b := w.sharer(2, "p/one", 31000, 31255)
	w.listen(b.ns, netip.IPv4Unspecified(), 31001)
	a.kill()
	if err := w.tcp(w.ns, w.address, 31001); err != nil {
		t.Errorf("the other jail: %v", err)
	}
	if on, _ := forwards("nic0"); !on {
		t.Error("the host doesn't forward for the jail that is left")
	}
	b.kill()
	w.unwind([]plan.Undo{must(again.Undo())}) // once more than needed
	if diff := w.differs(before); diff != "" {
		t.Errorf("left: %s", diff)
	}
	if now := sharingState(t); !slices.Equal(now, host) {
		t.Errorf("host was\n%s\nis\n%s", strings.Join(host, "\n"), strings.Join(now, "\n"))
	}
}

// A host that forwarded nothing forwards for jails that share its address, and
// for nobody else.
func TestSharedGuard(t *testing.T) {
	w := newTown(t)
	w.sharer(1, "p/one", 30000, 30255)
	third := newNS(t)
	addUplink(t, "nic1", netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2"), third)
	w.listen(third, netip.IPv4Unspecified(), 80)
	routeBy(t, w.ns, w.address)
	routeBy(t, third, netip.MustParseAddr("198.51.100.1"))
	if err := w.tcp(w.ns, netip.MustParseAddr("198.51.100.2"), 80); err == nil {
		t.Error("the host forwards for others")
	}
	if err := apply(hostTable(w.c, "")); err != nil {
		t.Fatal(err)
	}
	if err := deleteChain(sharedTable, guardPrefix+"nic0"); err != nil {
		t.Fatal(err)
	}
	writeSysctls([]sysctl{forwarding("nic1", "1")}) // for the answers
	if err := w.tcp(w.ns, netip.MustParseAddr("198.51.100.2"), 80); err != nil {
		t.Errorf("without the guard: %v", err)
	}
}

func deleteChain(table, name string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyIPv4}
	c := &nftables.Chain{Table: t, Name: name}
	conn.FlushChain(c)
	conn.DelChain(c)
	return conn.Flush()
}

func routeBy(t *testing.T, ns *os.File, gateway netip.Addr) {
	t.Helper()
	err := withRoutes(ns, func(h *netlink.Handle) error {
		return addRoute(h, &netlink.Route{Dst: prefixNet(everywhere()), Gw: gateway.AsSlice()})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sharingState is what sharing an address changes in the host's own namespace.
func sharingState(t *testing.T) []string {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range tables {
		lines = append(lines, fmt.Sprintf("table %s", x.Name))
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		lines = append(lines, fmt.Sprintf("route %s", r.Dst))
	}
	for _, dev := range []string{"nic0", DefaultUplink} {
		on, err := forwards(dev)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s forwards: %t", dev, on))
	}
	slices.Sort(lines)
	return lines
}

// differs waits for the listing to be as before.
func (r *rig) differs(before []string) string {
	deadline := time.Now().Add(3 * time.Second)
	for {
		now := r.listing()
		if slices.Equal(now, before) {
			return ""
		}
		if time.Now().After(deadline) {
			return strings.Join(now, "\n")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
