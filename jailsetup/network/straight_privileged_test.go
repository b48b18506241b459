//go:build linux && privileged

package network

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// lanPort is where the tests' jails serve.
const lanPort = 7000

// pairOnLAN is two jails on a LAN, the second of which serves. They know each
// other's MAC and have no IPv6: nothing is sent but what a test sends.
func (r *rig) pairOnLAN() (a, b *testJail) {
	r.t.Helper()
	a, b = r.jail(1, "p/e"), r.jail(2, "p/e")
	for _, j := range [...]*testJail{a, b} {
		r.at(j.ns, func() error { return writeSysctls([]sysctl{{"ipv6/conf/all/disable_ipv6", "1", false}}) })
	}
	fixNeighbour(r.t, a.ns, b)
	fixNeighbour(r.t, b.ns, a)
	r.listen(b.ns, b.lan, lanPort)
	return a, b
}

// inNet runs f with a handle on the experiment's namespace.
func (r *rig) inNet(f func(h *netlink.Handle) error) {
	r.t.Helper()
	ns, err := openPin(r.c.RunDir, experimentPin("p/e"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer ns.Close()
	if err := withRoutes(ns, f); err != nil {
		r.t.Fatal(err)
	}
}

// byBridge is how many frames the bridge hands to the jail while f runs.
func (j *testJail) byBridge(f func()) int {
	j.t.Helper()
	before := j.sentTo()
	f()
	return j.sentTo() - before
}

func (j *testJail) sentTo() int {
	return j.atHostEnd(func(s *netlink.LinkStatistics) uint64 { return s.TxPackets })
}

// atHostEnd is a counter of the host end of the jail's interface on the LAN.
func (j *testJail) atHostEnd(counter func(*netlink.LinkStatistics) uint64) (n int) {
	j.t.Helper()
	name, err := hostEnd(j.vnode, 1, j.gen)
	if err != nil {
		j.t.Fatal(err)
	}
	j.inNet(func(h *netlink.Handle) error {
		l, err := h.LinkByName(name)
		if err == nil {
			n = int(counter(l.Attrs().Statistics))
		}
		return err
	})
	return n
}

// received is how many frames the jail has got by its interface, as it counts.
func (j *testJail) received() (n int) {
	j.t.Helper()
	err := withRoutes(j.ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("eth1")
		if err == nil {
			n = int(l.Attrs().Statistics.RxPackets)
		}
		return err
	})
	if err != nil {
		j.t.Fatal(err)
	}
	return n
}

// straightTo is the port that the LAN's table has for jail n; 0: none.
func (r *rig) straightTo(n byte) (index uint32) {
	r.t.Helper()
	r.changeStraight(func(_ *netlink.Handle, s *straight) error {
		if err := s.ports.Lookup(portKey(lanMAC(n)), &index); !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	})
	return index
}

func TestStraight(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	talk := func(network string) func() {
		return func() {
			t.Helper()
			if err := r.try(a.ns, network, b.lan, lanPort); err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
	before := b.received()
	if n := b.byBridge(talk("tcp")); n != 0 {
		t.Errorf("a TCP connection: %d frames went by the bridge", n)
	}
	if b.received() == before {
		t.Error("frames that go straight are missing from the jail's own counters")
	}
	if n := b.byBridge(talk("udp")); n == 0 {
		t.Error("UDP: nothing went by the bridge, whose filter judges it")
	}
}

// A frame with a foreign source finds neither the straight way nor another, but
// does where the program takes it for the port's own.
func TestStraightForeignMAC(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	r.jail(3, "p/e")
	setMAC := func(m MAC) {
		t.Helper()
		err := withRoutes(a.ns, func(h *netlink.Handle) error {
			l, err := h.LinkByName("eth1")
			if err != nil {
				return err
			}
			// What it knows of others goes with the old MAC.
			return h.LinkSetHardwareAddr(l, net.HardwareAddr(m[:]))
		})
		if err != nil {
			t.Fatal(err)
		}
		fixNeighbour(t, a.ns, b)
	}
	invented := MAC{2, 9, 9, 9, 9, 9}
	for name, m := range map[string]MAC{"its own invention": invented, "a sibling's": lanMAC(3), "the receiver's": lanMAC(2)} {
		setMAC(m)
		if err := r.tcp(a.ns, b.lan, lanPort); err == nil {
			t.Errorf("a jail with %s as its MAC gets through", name)
		}
	}
	setMAC(lanMAC(1))
	if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
		t.Errorf("with its own MAC again: %v", err)
	}
	setMAC(invented)
	port, err := hostEnd(a.vnode, 1, a.gen)
	if err != nil {
		t.Fatal(err)
	}
	r.changeStraight(func(h *netlink.Handle, s *straight) error {
		l, err := h.LinkByName(port)
		if err != nil {
			return err
		}
		return errors.Join(s.attach(h, placeStraight, l, invented), s.ports.Put(portKey(invented), uint32(l.Attrs().Index)))
	})
	fixNeighbourAt(t, b.ns, a.lan, invented)
	if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
		t.Errorf("without the wall, a foreign MAC is refused, too (%v): the test proves nothing", err)
	}
}

// changeStraight changes the LAN's tables.
func (r *rig) changeStraight(f func(h *netlink.Handle, s *straight) error) {
	r.t.Helper()
	r.inNet(func(h *netlink.Handle) error {
		br, err := h.LinkByName(lanBridge("lan0", 0))
		if err != nil {
			return err
		}
		s, err := straightOf(h, br)
		if err != nil {
			return err
		}
		if s == nil {
			return errors.New("the LAN has no straight ways")
		}
		defer s.Close()
		return f(h, s)
	})
}

// fixNeighbour has the namespace know the other's MAC, so that TCP frames are
// sent at all.
func fixNeighbour(t *testing.T, ns *os.File, other *testJail) {
	t.Helper()
	fixNeighbourAt(t, ns, other.lan, lanMAC(other.lan.As4()[3]))
}

func fixNeighbourAt(t *testing.T, ns *os.File, addr netip.Addr, mac MAC) {
	t.Helper()
	err := withRoutes(ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("eth1")
		if err != nil {
			return err
		}
		return addNeighbour(h, l, addr, mac)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A listener hears all; when it has ended, the way is straight again: Close tells
// nobody, no more than a kill does.
func TestStraightWhileHeard(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	connect := func() {
		t.Helper()
		if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
			t.Error(err)
		}
	}
	if n := b.byBridge(connect); n != 0 {
		t.Fatalf("nobody listens, and %d frames go by the bridge", n)
	}
	tap, err := OpenTap(r.c.RunDir, "p/e", "lan0", 0)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(pauseFor + pauseFor/4) // nobody reads for longer than one pause lasts
	connect()
	buf := make([]byte, 2048)
	for deadline := time.Now().Add(5 * time.Second); ; {
		n, _, _, err := tap.Read(buf, deadline)
		if err != nil {
			t.Fatalf("the listener doesn't hear what b said: %v", err)
		}
		if strings.HasSuffix(string(buf[:n]), "here") {
			break
		}
	}
	if err := tap.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(3 * pauseFor)
	for b.byBridge(connect) != 0 {
		if time.Now().After(deadline) {
			t.Fatal("TCP still goes by the bridge, long after the tap has ended")
		}
		time.Sleep(pauseFor / 20)
	}
}

// A jail that went leaves no entry, also where its link went first; one that
// boots again has its new link's.
func TestStraightEntries(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	old := r.straightTo(2)
	if old == 0 {
		t.Fatal("no straight way to a jail that runs")
	}
	again := r.prepare(2, 2)
	for _, s := range again.steps(2, "p/e") {
		if l, is := s.(ExperimentLink); is {
			l.Group = 0 // each boot has one of its own
			r.do(l, &plan.State{NetNS: again.ns}, &again.undo)
		}
	}
	b.kill() // late: the new link is there
	if got := r.straightTo(2); got == 0 || got == old {
		t.Errorf("after a reboot: straight way to port %d, want a new one, not %d", got, old)
	}
	r.listen(again.ns, again.lan, lanPort)
	if err := r.tcp(a.ns, again.lan, lanPort); err != nil {
		t.Errorf("to the jail that booted again: %v", err)
	}
	name, err := hostEnd(again.vnode, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	r.inNet(func(h *netlink.Handle) error { return deleteLink(r.ctx, h, name) })
	again.kill()
	if got := r.straightTo(2); got != 0 {
		t.Errorf("a jail is gone, its straight way to port %d is not", got)
	}
}

// A port that went without its undo leaves an entry that leads nowhere: TCP goes
// by the bridge, which may know the MAC behind another port by now.
func TestStraightToNobody(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	name, err := hostEnd(b.vnode, 1, b.gen)
	if err != nil {
		t.Fatal(err)
	}
	r.inNet(func(h *netlink.Handle) error { return deleteLink(r.ctx, h, name) })
	old := r.straightTo(2)
	if old == 0 {
		t.Fatal("the entry went with the link: nothing to see")
	}
	// The same MAC elsewhere.
	again := r.prepare(2, 2)
	link := again.steps(2, "p/e")[3].(ExperimentLink)
	r.do(link, &plan.State{NetNS: again.ns}, &again.undo)
	fixNeighbour(t, again.ns, a)
	r.listen(again.ns, again.lan, lanPort)
	r.changeStraight(func(_ *netlink.Handle, s *straight) error { return s.ports.Put(portKey(lanMAC(2)), old) })
	connect := func() {
		t.Helper()
		if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
			t.Error(err)
		}
	}
	if n := again.byBridge(connect); n == 0 {
		t.Error("nothing went by the bridge")
	}
}

// What is to be shaped goes by what shapes it.
func TestStraightEndsWithSplice(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	r.listen(a.ns, a.lan, lanPort)
	splice := Splice{
		RunDir: r.c.RunDir, Experiment: "p/e", LAN: "lan0", VNode: b.vnode, Index: 1,
		MAC: lanMAC(2), Generation: b.gen, Group: 102,
	}
	if r.straightTo(2) == 0 || r.tcp(a.ns, b.lan, lanPort) != nil || r.tcp(b.ns, a.lan, lanPort) != nil {
		t.Fatal("they don't reach each other as it is")
	}
	for range 2 { // again, as after a crash
		r.do(splice, &plan.State{}, &b.undo)
		if r.straightTo(2) != 0 {
			t.Error("the straight way is still there")
		}
		if r.tcp(a.ns, b.lan, lanPort) == nil || r.tcp(b.ns, a.lan, lanPort) == nil {
			t.Error("nothing forwards yet, and TCP gets through")
		}
	}
}
