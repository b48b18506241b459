//go:build linux && privileged

package permit_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/plan"
)

// guest is a network namespace with an interface on a LAN.
type guest struct {
	link network.ExperimentLink
	ns   *os.File
}

// lan is two guests on one LAN.
func lan(t *testing.T) (a, b guest) {
	t.Helper()
	run, experiment := filepath.Join(t.TempDir(), "run"), "permit/capture"
	a, b = newGuest(t, 1), newGuest(t, 2)
	for _, g := range []*guest{&a, &b} {
		g.link.RunDir, g.link.Experiment = run, experiment
		for _, s := range []plan.Step{network.ExperimentNamespace{RunDir: run, Experiment: experiment}, g.link} {
			undos, err := s.Undo()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				for _, u := range slices.Backward(undos) {
					if err := network.Undo(context.Background(), u); err != nil {
						t.Errorf("undo: %v", err)
					}
				}
			})
			if err := s.Do(t.Context(), &plan.State{NetNS: g.ns}); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	return a, b
}

func newGuest(t *testing.T, number byte) guest {
	t.Helper()
	g := guest{link: network.ExperimentLink{
		LAN: "lan0", VNode: "capture-" + string('0'+rune(number)), Name: "eth1", Index: 1,
		MAC:        network.MAC{2, 0x0a, 1, 1, 1, number},
		Addrs:      []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, 1, number}), 24)},
		Generation: 1,
	}}
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // it ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			g.ns, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.ns.Close() })
	return g
}

// in runs f on a thread of the guest's namespace.
func (g guest) in(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(g.ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Frames that the tests send, told apart by what they say.
var (
	injected = []byte("by a capture socket")
	ordinary = []byte("by the kernel")
)

// inject sends some frames by a packet socket, then an ordinary packet, and says
// whether the capture socket's were allowed to leave.
func (g guest) inject(t *testing.T, to guest) {
	t.Helper()
	g.in(t, func() error {
		l, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		// TCP may take another way to the other than UDP.
		for _, proto := range [...]byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			frame := slices.Concat(to.link.MAC[:], g.link.MAC[:], []byte{0x08, 0x00}, ipv4(g, to, proto, injected))
			// Refused at once, or lost on the way: what arrives is what counts.
			_ = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index, Halen: 6})
		}
		c, err := net.Dial("udp4", net.JoinHostPort(to.link.Addrs[0].Addr().String(), "9"))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(ordinary)
		return err
	})
}

// ipv4 is a packet with UDP's header, without checksum of its data.
func ipv4(from, to guest, proto byte, data []byte) []byte {
	src, dst := from.link.Addrs[0].Addr().As4(), to.link.Addrs[0].Addr().As4()
	n := byte(20 + 8 + len(data))
	head := []byte{0x45, 0, 0, n, 0, 0, 0, 0, 64, proto, 0, 0}
	head = slices.Concat(head, src[:], dst[:])
	sum := uint32(0)
	for i := 0; i < len(head); i += 2 {
		sum += uint32(head[i])<<8 | uint32(head[i+1])
	}
	sum = sum&0xffff + sum>>16
	head[10], head[11] = ^byte(sum>>8), ^byte(sum)
	return slices.Concat(head, []byte{0, 9, 0, 9, 0, n - 20, 0, 0}, data)
}

// hears tells whether frames of the capture socket arrive before the ordinary
// one that was sent after them.
func (g guest) hears(t *testing.T, send func()) (heard bool) {
	t.Helper()
	fd := -1
	g.in(t, func() (err error) {
		l, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Index}); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	})
	defer unix.Close(fd)
	send()
	buf := make([]byte, 2048)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			break
		}
		if bytes.Contains(buf[:n], injected) {
			heard = true
		}
		if bytes.Contains(buf[:n], ordinary) {
			return heard
		}
	}
	t.Fatal("an ordinary packet didn't arrive")
	return false
}

// TestCapture: what a capture socket sends arrives without the step and doesn't
// with it; what the kernel sends arrives.
func TestCapture(t *testing.T) {
	for _, row := range []struct {
		name string
		step func(a guest) (plan.Step, error)
	}{
		{"at the host end", func(a guest) (plan.Step, error) {
			end, err := a.link.HostEnd()
			return permit.Capture{Ends: []network.HostEnd{end}}, err
		}},
		{"inside", func(guest) (plan.Step, error) {
			return permit.CaptureInside{Links: []string{"eth1"}}, nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, b := lan(t)
			send := func() { a.inject(t, b) }
			if !b.hears(t, send) {
				t.Error("without the step: a frame by a capture socket didn't arrive")
			}
			step, err := row.step(a)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // again, as after a crash
				if err := step.Do(t.Context(), &plan.State{NetNS: a.ns}); err != nil {
					t.Fatal(err)
				}
				if b.hears(t, send) {
					t.Error("with the step: a frame by a capture socket arrived")
				}
			}
		})
	}
}
