//go:build linux && privileged

package network

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// attack is one frame that a jail sends, and what becomes of it. Rows that pass
// are the counter-proof: the same road, with a frame in order.
type attack struct {
	name  string
	frame func(mark string) []byte
	want  outcome
}

type outcome int

const (
	passes  outcome = iota
	dropped         // by our walls
	dead            // no bridge forwards it, with walls or without
)

// runAttacks sends each row's frame: with the walls as they are, and again with
// the walls taken away, when every frame must pass, else the row proves nothing.
func runAttacks(t *testing.T, road road, rows []attack) {
	t.Helper()
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			mark := fmt.Sprintf("<mark %d>", i)
			road.from.send(row.frame(mark))
			if got := road.seenBy.sees(mark); got != (row.want == passes) {
				t.Errorf("passed: %v, want %v", got, row.want == passes)
			}
		})
	}
	t.Run("without walls", func(t *testing.T) {
		takeWallsAway(t, road.walls, nftables.TableFamilyBridge)
		// A frame in a sibling's name would draw that one's frames to the liar,
		// and away from where the next row looks.
		setPorts(t, road.walls, (*netlink.Handle).LinkSetLearning, false)
		for i, row := range rows {
			mark := fmt.Sprintf("<bare %d>", i)
			road.from.send(row.frame(mark))
			if road.seenBy.sees(mark) == (row.want == dead) {
				t.Errorf("%s: without walls: passed: %v", row.name, row.want == dead)
			}
		}
	})
}

// road is where a frame is sent, where it would come out, and the namespace
// whose bridge table stands between.
type road struct {
	from, seenBy *wire
	walls        *os.File
}

func takeWallsAway(t *testing.T, ns *os.File, family nftables.TableFamily) {
	t.Helper()
	err := In(ns, func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.DelTable(&nftables.Table{Name: tableName, Family: family})
		return conn.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	group6 = netip.MustParseAddr("ff02::1")
	stpMAC = MAC{0x01, 0x80, 0xc2, 0, 0, 0}
)

// On the control network a jail tries to speak as someone else to the router.
func TestControlSpoofing(t *testing.T) {
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	control, err := openPin(r.c.RunDir, controlPin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	router := r.wire(control, controlBridge)
	sender := r.wire(a.ns, "eth0")

	own, gw, gwMAC := ControlMAC(a.addr), r.c.Gateway, ControlMAC(r.c.Gateway)
	stranger := MAC{2, 9, 9, 9, 9, 9}
	v4 := func(src MAC, ip netip.Addr) func(string) []byte {
		return func(mark string) []byte { return ethernet(gwMAC, src, 0x0800, udp4(ip, gw, 99, 98, mark)) }
	}
	lie := func(src, sha MAC, spa netip.Addr) func(string) []byte {
		return func(mark string) []byte {
			return ethernet(broadcastMAC, src, 0x0806, arp(2, sha, spa, gwMAC, gw, mark))
		}
	}
	runAttacks(t, road{sender, router, control}, []attack{
		{"own address", v4(own, a.addr), passes},
		{"sibling's address", v4(own, b.addr), dropped},
		{"host's address", v4(own, r.c.Host), dropped},
		{"foreign address", v4(own, netip.MustParseAddr("8.8.8.8")), dropped},
		{"no address", v4(own, netip.IPv4Unspecified()), dropped},
		{"sibling's MAC", v4(ControlMAC(b.addr), a.addr), dropped},
		{"sibling's MAC and address", v4(ControlMAC(b.addr), b.addr), dropped},
		{"unknown MAC", v4(stranger, a.addr), dropped},
		{"ARP for itself", lie(own, own, a.addr), passes},
		{"ARP for the gateway", lie(own, own, gw), dropped},
		{"ARP for a sibling", lie(own, own, b.addr), dropped},
		{"ARP with a foreign sender MAC", lie(own, stranger, a.addr), dropped},
		{"ARP in a foreign frame", lie(stranger, own, a.addr), dropped},
		{"IPv6", func(m string) []byte {
			return ethernet(broadcastMAC, own, 0x86dd, udp6(linkLocal(own), group6, 9, 9, m))
		}, dropped},
		{"router advertisement", func(m string) []byte {
			return ethernet(broadcastMAC, own, 0x86dd, icmp6(linkLocal(own), group6, routerAdvert, netip.Addr{}, m))
		}, dropped},
		{"VLAN tag", func(m string) []byte { return vlan(v4(own, a.addr)(m), 7) }, dropped},
		{"VLAN tag zero", func(m string) []byte { return vlan(v4(own, a.addr)(m), 0) }, dropped},
		{"STP", func(m string) []byte { return ethernet(stpMAC, own, 38, []byte(m)) }, dropped},
		{"LLDP", func(m string) []byte { return ethernet(MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}, own, 0x88cc, []byte(m)) }, dead},
		{"unknown protocol", func(m string) []byte { return ethernet(gwMAC, own, 0x88b5, []byte(m)) }, dropped},
	})
}

// What is in order doesn't reach a sibling from port to port either, only by
// the router; for two reasons, each enough.
func TestControlPortsApart(t *testing.T) {
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	sender, victim := r.wire(a.ns, "eth0"), r.wire(b.ns, "eth0")
	own, gwMAC := ControlMAC(a.addr), ControlMAC(r.c.Gateway)
	rows := []attack{
		{"broadcast", func(m string) []byte {
			return ethernet(broadcastMAC, own, 0x0800, udp4(a.addr, b.addr, 99, 98, m))
		}, dropped},
		{"unicast", func(m string) []byte {
			return ethernet(ControlMAC(b.addr), own, 0x0800, udp4(a.addr, b.addr, 99, 98, m))
		}, dropped},
		{"ARP", func(m string) []byte {
			return ethernet(broadcastMAC, own, 0x0806, arp(1, own, a.addr, MAC{}, b.addr, m))
		}, dropped},
		{"by the router", func(m string) []byte {
			return ethernet(gwMAC, own, 0x0800, udp4(a.addr, b.addr, 99, 98, m))
		}, passes},
	}
	control, err := openPin(r.c.RunDir, controlPin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	for _, wall := range []struct {
		name string
		down func()
	}{
		{"both walls", func() {}},
		{"no isolation", func() { isolate(t, control, false) }},
		{"no bridge table", func() { isolate(t, control, true); takeWallsAway(t, control, nftables.TableFamilyBridge) }},
	} {
		wall.down()
		for i, row := range rows {
			mark := fmt.Sprintf("<%s %d>", wall.name, i)
			sender.send(row.frame(mark))
			if got := victim.sees(mark); got != (row.want == passes) {
				t.Errorf("%s: %s: passed: %v, want %v", wall.name, row.name, got, row.want == passes)
			}
		}
	}
	isolate(t, control, false)
	for i, row := range rows {
		mark := fmt.Sprintf("<bare %d>", i)
		sender.send(row.frame(mark))
		if !victim.sees(mark) {
			t.Errorf("no wall: %s: does not pass either", row.name)
		}
	}
}

func isolate(t *testing.T, ns *os.File, on bool) {
	t.Helper()
	setPorts(t, ns, (*netlink.Handle).LinkSetIsolated, on)
}

// setPorts sets a flag of every port of the namespace's bridges.
func setPorts(t *testing.T, ns *os.File, set func(*netlink.Handle, netlink.Link, bool) error, on bool) {
	t.Helper()
	err := withRoutes(ns, func(h *netlink.Handle) error {
		names, err := ports(h, controlUplink)
		if err != nil {
			return err
		}
		for _, name := range names {
			l, err := h.LinkByName(name)
			if err != nil {
				return err
			}
			if err := set(h, l, on); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// On an experiment's LAN a jail tries to speak as someone else to a sibling, or
// to configure it.
func TestExperimentSpoofing(t *testing.T) {
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	sender, victim := r.wire(a.ns, "eth1"), r.wire(b.ns, "eth1")
	own, bMAC, stranger := lanMAC(1), lanMAC(2), MAC{2, 9, 9, 9, 9, 9}
	routed := netip.MustParseAddr("10.9.9.9")

	v4 := func(src MAC, ip netip.Addr, sport uint16) func(string) []byte {
		return func(m string) []byte { return ethernet(bMAC, src, 0x0800, udp4(ip, b.lan, sport, 98, m)) }
	}
	say := func(src, sha MAC, spa netip.Addr) func(string) []byte {
		return func(m string) []byte { return ethernet(bMAC, src, 0x0806, arp(2, sha, spa, bMAC, b.lan, m)) }
	}
	v6 := func(p func(m string) []byte) func(string) []byte {
		return func(m string) []byte { return ethernet(bMAC, own, 0x86dd, p(m)) }
	}
	nd := func(kind byte, src, target netip.Addr) func(string) []byte {
		return v6(func(m string) []byte { return icmp6(src, group6, kind, target, m) })
	}
	me, other := linkLocal(own), linkLocal(bMAC)
	experiment, err := openPin(r.c.RunDir, experimentPin("p/one"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { experiment.Close() })
	runAttacks(t, road{sender, victim, experiment}, []attack{
		{"own address", v4(own, a.lan, 99), passes},
		{"routed address", v4(own, routed, 99), passes},
		{"sibling's MAC", v4(bMAC, a.lan, 99), dropped},
		{"unknown MAC", v4(stranger, a.lan, 99), dropped},
		{"DHCP offer", v4(own, a.lan, 67), dropped},
		{"ARP for itself", say(own, own, a.lan), passes},
		{"ARP for another", say(own, own, netip.MustParseAddr("10.1.1.3")), dropped},
		{"ARP with its control address", say(own, own, a.addr), dropped},
		{"ARP with a foreign sender MAC", say(own, stranger, a.lan), dropped},
		{"ARP in a foreign frame", say(stranger, own, a.lan), dropped},
		{"IPv6", v6(func(m string) []byte { return udp6(me, other, 9, 9, m) }), passes},
		{"DHCPv6 advertisement", v6(func(m string) []byte { return udp6(me, other, 547, 546, m) }), dropped},
		{"router advertisement", nd(routerAdvert, me, netip.Addr{}), dropped},
		{"router advertisement behind an extension header", v6(func(m string) []byte {
			return inHopByHop(icmp6(me, group6, routerAdvert, netip.Addr{}, m))
		}), dropped},
		{"redirect", nd(redirect6, me, other), dropped},
		{"neighbour advertisement for itself", nd(neighbourAdvert, me, me), passes},
		{"neighbour advertisement for another", nd(neighbourAdvert, me, other), dropped},
		{"neighbour solicitation of its own", nd(neighbourSolicit, me, other), passes},
		{"neighbour solicitation without source", nd(neighbourSolicit, netip.IPv6Unspecified(), me), passes},
		{"neighbour solicitation in another's name", nd(neighbourSolicit, other, me), dropped},
		{"router solicitation in another's name", nd(routerSolicit, other, me), dropped},
		{"VLAN tag", func(m string) []byte { return vlan(v4(own, a.lan, 99)(m), 7) }, dropped},
		{"STP", func(m string) []byte { return ethernet(stpMAC, own, 38, []byte(m)) }, dropped},
		{"LLDP", func(m string) []byte { return ethernet(MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}, own, 0x88cc, []byte(m)) }, dead},
		{"LLDP to the sibling's MAC", func(m string) []byte { return ethernet(bMAC, own, 0x88cc, []byte(m)) }, dropped},
		{"unknown protocol", func(m string) []byte { return ethernet(bMAC, own, 0x88b5, []byte(m)) }, dropped},
	})
}

// Jails of different experiments have LANs of the same name and addresses, and
// don't meet.
func TestExperimentsApart(t *testing.T) {
	r := newRig(t)
	a, b, other := r.jail(1, "p/one"), r.jail(2, "p/one"), r.jail(3, "p/two")
	r.listen(b.ns, b.lan, 5000)
	if err := r.tcp(a.ns, b.lan, 5000); err != nil {
		t.Errorf("sibling by the LAN: %v", err)
	}
	if err := r.udp(a.ns, b.lan, 5000); err != nil {
		t.Errorf("sibling by the LAN, UDP: %v", err)
	}
	if err := r.tcp(other.ns, b.lan, 5000); err == nil {
		t.Error("another experiment's jail reached the LAN")
	}
	sees := r.wire(other.ns, "eth1")
	r.wire(a.ns, "eth1").send(ethernet(broadcastMAC, lanMAC(1), 0x0800, udp4(a.lan, b.lan, 1, 2, "<broadcast>")))
	if sees.sees("<broadcast>") {
		t.Error("another experiment's jail saw a broadcast")
	}
}

// A jail's root makes its link carry more than the LAN does; the frame ends at
// the host's end, which it can't change.
func TestOversizedFrame(t *testing.T) {
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	err := withRoutes(a.ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("eth1")
		if err != nil {
			return err
		}
		return h.LinkSetMTU(l, 9000)
	})
	if err != nil {
		t.Fatal(err)
	}
	sender, victim := r.wire(a.ns, "eth1"), r.wire(b.ns, "eth1")
	for _, row := range []struct {
		mark string
		size int
		want bool
	}{{"<fits>", 1514, true}, {"<too big>", 4000, false}} {
		frame := pad(ethernet(lanMAC(2), lanMAC(1), 0x0800, udp4(a.lan, b.lan, 1, 2, row.mark)), row.size)
		if _, err := unix.Write(sender.fd, frame); (err == nil) != row.want {
			t.Errorf("%s, %d bytes: send: %v", row.mark, row.size, err) // a veth says what it dropped
		}
		if got := victim.sees(row.mark); got != row.want {
			t.Errorf("%s, %d bytes: passed: %v, want %v", row.mark, row.size, got, row.want)
		}
	}
}

// What a capture socket sends by a jail's loopback device comes back as nobody's
// frame: not even a jail that forwards passes it on.
func TestLoopbackIsNotForwarded(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	r.do(Inside{IDBase: 1_000_000, Forward: true}, &plan.State{NetNS: a.ns}, &a.undo)
	mouth, ear := r.wire(a.ns, "lo"), r.wire(b.ns, "eth1")
	arrives := func(src netip.Addr, mark string) bool {
		mouth.send(ethernet(MAC{}, MAC{}, 0x800, ip4(src, b.lan, 253, []byte(mark))))
		return ear.sees(mark)
	}
	for name, src := range map[string]string{"a sibling": "10.1.1.3", "a stranger": "8.8.8.8", "itself": a.lan.String()} {
		if arrives(netip.MustParseAddr(src), "by lo as "+name) {
			t.Errorf("a packet with %s as its source leaves the jail", name)
		}
	}
	r.at(a.ns, func() error { return writeSysctls([]sysctl{{"ipv4/conf/lo/forwarding", "1", false}}) })
	if !arrives(netip.MustParseAddr("8.8.8.8"), "without the wall") {
		t.Error("without the wall nothing leaves either: the test proves nothing")
	}
}
