//go:build linux && privileged

package network

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// town is a host with an address in a network of others, and one of them.
type town struct {
	*rig
	address, outside netip.Addr
	ns               *os.File // the other's
}

func newTown(t *testing.T) *town {
	t.Helper()
	if err := writeSysctls([]sysctl{{"ipv4/ip_forward", "0", false}}); err != nil {
		t.Fatal(err)
	}
	w := &town{address: netip.MustParseAddr("192.0.2.1"), outside: netip.MustParseAddr("192.0.2.2"), ns: newNS(t)}
	addUplink(t, "nic0", w.address, w.outside, w.ns)
	w.rig = newRigAt(t, w.address)
	return w
}

// addUplink joins the host with another namespace.
func addUplink(t *testing.T, name string, here, there netip.Addr, ns *os.File) {
	t.Helper()
	h, err := newRouteHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := addPair(t.Context(), h, pair{name: name, mac: MAC{2, 1}, peer: "out0", peerMAC: MAC{2, 2}, peerNS: ns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(l) })
	up := func(h *netlink.Handle, l netlink.Link, a netip.Addr) error {
		if err := addAddress(h, l, netip.PrefixFrom(a, 24)); err != nil {
			return err
		}
		return h.LinkSetUp(l)
	}
	if err := up(h, l, here); err != nil {
		t.Fatal(err)
	}
	err = withRoutes(ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("out0")
		if err != nil {
			return err
		}
		return up(h, l, there)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sharer boots jail n, which has a private address and ports of the host's.
func (w *town) sharer(n byte, experiment string, low, high uint16) *testJail {
	w.t.Helper()
	j := w.prepare(n, 1)
	j.addr = netip.AddrFrom4([4]byte{100, 64, 0, n})
	st := &plan.State{NetNS: j.ns}
	for _, s := range []plan.Step{
		Inside{IDBase: 1_000_000, PortLow: low, PortHigh: high},
		SharedAddress{Control: w.c, VNode: j.vnode, Addr: j.addr, Low: low, High: high},
		j.controlLink(experiment),
	} {
		w.do(s, st, &j.undo)
	}
	return j
}

// peerPort connects to a listener that says from which port one comes.
func (w *town) peerPort(from, at *os.File, to netip.AddrPort) (netip.AddrPort, error) {
	w.t.Helper()
	var l net.Listener
	w.at(at, func() (err error) {
		l, err = net.Listen("tcp", to.String())
		return err
	})
	defer l.Close()
	var c net.Conn
	var failed error
	w.at(from, func() error {
		c, failed = net.DialTimeout("tcp", to.String(), patience)
		return nil
	})
	if failed != nil {
		return netip.AddrPort{}, failed
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer peer.Close()
	return netip.ParseAddrPort(peer.RemoteAddr().String())
}
