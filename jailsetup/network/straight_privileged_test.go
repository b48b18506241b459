//go:build linux && privileged

package network

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// lanPort is where the tests' jails serve.
const lanPort = 7000

// pairOnLAN is two jails on a LAN, the second of which serves.
func (r *rig) pairOnLAN() (a, b *testJail) {
	a, b = r.jail(1, "p/e"), r.jail(2, "p/e")
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

func (j *testJail) sentTo() (n int) {
	j.t.Helper()
	name, err := hostEnd(j.vnode, 1, j.gen)
	if err != nil {
		j.t.Fatal(err)
	}
	j.inNet(func(h *netlink.Handle) error {
		l, err := h.LinkByName(name)
		if err == nil {
			n = int(l.Attrs().Statistics.TxPackets)
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

// directTo is the port that the LAN's table has for jail n; 0: none.
func (r *rig) directTo(n byte) (index uint32) {
	r.t.Helper()
	r.inNet(func(h *netlink.Handle) error {
		br, err := h.LinkByName(lanBridge("lan0", 0))
		if err != nil {
			return err
		}
		s, err := straightOf(h, br)
		if s == nil || err != nil {
			return err
		}
		defer s.Close()
		if s.ports.Lookup(portKey(lanMAC(n)), &index) != nil {
			index = 0
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
	talk("udp")() // so that each knows the other's MAC
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

// A frame with a foreign source finds neither the straight way nor another.
func TestStraightForeignMAC(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	r.jail(3, "p/e")
	if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
		t.Fatal(err)
	}
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
		fixNeighbour(t, b.ns, a)
	}
	for name, m := range map[string]MAC{"its own invention": {2, 9, 9, 9, 9, 9}, "a sibling's": lanMAC(3), "the receiver's": lanMAC(2)} {
		setMAC(m)
		if err := r.tcp(a.ns, b.lan, lanPort); err == nil {
			t.Errorf("a jail with %s as its MAC gets through", name)
		}
	}
	setMAC(lanMAC(1))
	if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
		t.Errorf("with its own MAC again: %v", err)
	}
}

// fixNeighbour has the namespace know the other's MAC, so that TCP frames are
// sent at all.
func fixNeighbour(t *testing.T, ns *os.File, other *testJail) {
	t.Helper()
	err := withRoutes(ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("eth1")
		if err != nil {
			return err
		}
		return addNeighbour(h, l, other.lan, lanMAC(other.lan.As4()[3]))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A listener hears all; when it has ended, also by kill -9, the way is straight
// again.
func TestStraightWhileHeard(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	connect := func() {
		t.Helper()
		if err := r.tcp(a.ns, b.lan, lanPort); err != nil {
			t.Error(err)
		}
	}
	connect()
	tap, err := OpenTap(r.c.RunDir, "p/e", "lan0", 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := b.byBridge(connect); n == 0 {
		t.Error("a tap is open, and TCP doesn't go by the bridge")
	}
	if err := tap.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(3 * hearFor)
	for b.byBridge(connect) != 0 {
		if time.Now().After(deadline) {
			t.Fatal("TCP still goes by the bridge, long after the tap has ended")
		}
		time.Sleep(hearFor / 20)
	}
}

// A jail that went leaves no entry, also where its link went first; one that
// boots again has its new link's.
func TestStraightEntries(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	old := r.directTo(2)
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
	if got := r.directTo(2); got == 0 || got == old {
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
	if got := r.directTo(2); got != 0 {
		t.Errorf("a jail is gone, its straight way to port %d is not", got)
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
	fixNeighbour(t, a.ns, b)
	fixNeighbour(t, b.ns, a)
	for range 2 { // again, as after a crash
		r.do(splice, &plan.State{}, &b.undo)
		if r.directTo(2) != 0 {
			t.Error("the straight way is still there")
		}
		if r.tcp(a.ns, b.lan, lanPort) == nil || r.tcp(b.ns, a.lan, lanPort) == nil {
			t.Error("nothing forwards yet, and TCP gets through")
		}
	}
}
