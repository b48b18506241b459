//go:build linux && privileged

package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// forwards has the jail forward frames that come by a tap, which are no packet
// socket's, to the LAN. It returns the tap's end.
func (j *testJail) forwards() *os.File {
	j.t.Helper()
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP, Queues: 1,
		Flags: netlink.TUNTAP_ONE_QUEUE | netlink.TUNTAP_NO_PI,
	}
	j.at(j.ns, func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: new(false)} // else it sends queries
		if err := errors.Join(netlink.LinkAdd(br), netlink.LinkAdd(tap)); err != nil {
			return err
		}
		lan, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetMaster(lan, br), netlink.LinkSetMaster(tap, br),
			netlink.LinkSetUp(br), netlink.LinkSetUp(tap))
	})
	j.t.Cleanup(func() { tap.Fds[0].Close() })
	return tap.Fds[0]
}

// sent is how many frames have come from the jail by its LAN's host end.
func (j *testJail) sent() int {
	return j.atHostEnd(func(s *netlink.LinkStatistics) uint64 { return s.RxPackets })
}

// Of what isn't unmistakably TCP between two of the LAN, nothing goes straight,
// whoever made the frame.
func TestStraightTakesOnly(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	tap, ear := a.forwards(), r.wire(b.ns, "eth1")
	own, to := lanMAC(1), lanMAC(2)
	tcp := func(mark string) []byte { return ip4(a.lan, b.lan, 6, append(make([]byte, 20), mark...)) }
	for _, c := range []struct {
		what              string
		frame             func(mark string) []byte
		arrives, straight bool
	}{
		{"TCP", func(m string) []byte { return ethernet(to, own, 0x800, tcp(m)) }, true, true},
		{"TCP with a VLAN tag", func(m string) []byte { return vlan(ethernet(to, own, 0x800, tcp(m)), 7) }, false, false},
		{"TCP with VLAN tag zero", func(m string) []byte { return vlan(ethernet(to, own, 0x800, tcp(m)), 0) }, false, false},
		{"TCP with two VLAN tags", func(m string) []byte { return vlan(vlan(ethernet(to, own, 0x800, tcp(m)), 7), 8) }, false, false},
		{"TCP from a foreign MAC", func(m string) []byte { return ethernet(to, lanMAC(9), 0x800, tcp(m)) }, false, false},
		{"TCP as what is no IPv4", func(m string) []byte { return ethernet(to, own, 0x88b5, tcp(m)) }, false, false},
		{"TCP to all", func(m string) []byte { return ethernet(broadcastMAC, own, 0x800, tcp(m)) }, true, false},
		{"UDP", func(m string) []byte { return ethernet(to, own, 0x800, udp4(a.lan, b.lan, 9, 9, m)) }, true, false},
	} {
		mark, seen, before := "mark of "+c.what, false, a.sent()
		n := b.byBridge(func() {
			if _, err := tap.Write(c.frame(mark)); err != nil {
				t.Fatal(err)
			}
			seen = ear.sees(mark)
		})
		if sent := a.sent() - before; sent != 1 {
			t.Errorf("%s: %d frames have left the jail, want 1: the test proves nothing", c.what, sent)
		}
		if straight := seen && n == 0; seen != c.arrives || straight != c.straight {
			t.Errorf("%s: arrives %v, straight %v; want %v, %v", c.what, seen, straight, c.arrives, c.straight)
		}
	}
}

// A jail that raises how much its interface takes at once sends frames that only
// a bridge cuts.
func TestStraightLongFrames(t *testing.T) {
	r := newRig(t)
	a, b := r.pairOnLAN()
	if n := b.byBridge(func() { r.send(a, b, 64<<20) }); n != 0 {
		t.Fatalf("%d frames of usual length go by the bridge", n)
	}
	err := withRoutes(a.ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("eth1")
		if err != nil {
			return err
		}
		const long = 4 * longest
		return errors.Join(h.LinkSetGSOMaxSize(l, long), h.LinkSetGSOIPv4MaxSize(l, long))
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.byBridge(func() { r.send(a, b, 64<<20) }); n == 0 {
		t.Error("none goes by the bridge: no frame was longer, or long ones go straight")
	}
}

// send sends so many bytes by TCP from one jail to the other.
func (r *rig) send(from, to *testJail, bytes int64) {
	r.t.Helper()
	got := make(chan error, 1)
	var at string
	r.at(to.ns, func() error {
		l, err := net.Listen("tcp", netip.AddrPortFrom(to.lan, 0).String())
		if err != nil {
			return err
		}
		at = l.Addr().String()
		r.t.Cleanup(func() { l.Close() })
		go func() {
			c, err := l.Accept()
			if err != nil {
				got <- err
				return
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(20 * patience)); err != nil {
				got <- err
				return
			}
			n, err := io.Copy(io.Discard, c)
			if err == nil && n != bytes {
				err = fmt.Errorf("%d of %d bytes arrived", n, bytes)
			}
			got <- err
		}()
		return nil
	})
	r.at(from.ns, func() error {
		c, err := net.DialTimeout("tcp", at, patience)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * patience)); err != nil {
			return err
		}
		_, err = io.CopyN(c, zeros{}, bytes)
		return err
	})
	if err := <-got; err != nil {
		r.t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
