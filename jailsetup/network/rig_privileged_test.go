//go:build linux && privileged

package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// rig is a host of the tests' own with a control network.
type rig struct {
	t    *testing.T
	ctx  context.Context
	c    Control
	undo []plan.Undo
}

// testJail is a network namespace with what the steps put into it.
type testJail struct {
	*rig
	vnode string
	addr  netip.Addr
	lan   netip.Addr
	ns    *os.File
	undo  []plan.Undo
	gen   uint64
}

func newRig(t *testing.T) *rig { return newRigAt(t, netip.Addr{}) }

// newRigAt is a host whose address others see; invalid: nobody does.
func newRigAt(t *testing.T, address netip.Addr) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	c, err := ControlIn(netip.MustParsePrefix("172.30.0.0/16"), 1)
	if err != nil {
		t.Fatal(err)
	}
	c.RunDir = filepath.Join(t.TempDir(), "run")
	if address.IsValid() {
		c.Address = address
	}
	r := &rig{t: t, ctx: ctx, c: c}
	hostLoopbackUp(t)
	r.do(HostControl{c}, nil, &r.undo)
	t.Cleanup(func() { r.unwind(r.undo) })
	return r
}

func hostLoopbackUp(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) do(s plan.Step, st *plan.State, log *[]plan.Undo) {
	r.t.Helper()
	undos, err := s.Undo()
	if err != nil {
		r.t.Fatalf("undo of %s: %v", s, err)
	}
	*log = append(*log, undos...)
	if err := s.Do(r.ctx, st); err != nil {
		r.t.Fatalf("%s: %v", s, err)
	}
}

func (r *rig) unwind(log []plan.Undo) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for i := len(log) - 1; i >= 0; i-- {
		if err := Undo(ctx, log[i]); err != nil {
			r.t.Errorf("undo %s %s: %v", log[i].Kind, log[i].Data, err)
		}
	}
}

// newNS makes a network namespace that lives as long as its file.
func newNS(t *testing.T) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bindNewNamespace(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// jail boots jail n of the experiment: control address .n, LAN address 10.1.1.n.
func (r *rig) jail(n byte, experiment string) *testJail {
	r.t.Helper()
	return r.boot(n, experiment, 1)
}

func (r *rig) boot(n byte, experiment string, gen uint64) *testJail {
	r.t.Helper()
	j := r.prepare(n, gen)
	for _, s := range j.steps(n, experiment) {
		r.do(s, &plan.State{NetNS: j.ns}, &j.undo)
	}
	return j
}

func (r *rig) prepare(n byte, gen uint64) *testJail {
	r.t.Helper()
	j := &testJail{
		rig: r, vnode: fmt.Sprintf("pcvm1-%d", n), ns: newNS(r.t), gen: gen,
		addr: netip.AddrFrom4([4]byte{172, 30, 1, n}), lan: netip.AddrFrom4([4]byte{10, 1, 1, n}),
	}
	r.t.Cleanup(func() { r.unwind(j.undo) })
	return j
}

func (j *testJail) steps(n byte, experiment string) []plan.Step {
	return []plan.Step{
		Inside{IDBase: 1_000_000},
		j.controlLink(experiment),
		ExperimentNamespace{RunDir: j.c.RunDir, Experiment: experiment},
		ExperimentLink{
			RunDir: j.c.RunDir, Experiment: experiment, LAN: "lan0", VNode: j.vnode, Name: "eth1", Index: 1,
			MAC: lanMAC(n), Addrs: []netip.Prefix{netip.PrefixFrom(j.lan, 24)}, Generation: j.gen, Group: 100 + uint32(n),
		},
	}
}

func (j *testJail) controlLink(experiment string) ControlLink {
	return ControlLink{
		Control: j.c, VNode: j.vnode, Experiment: experiment, Addr: j.addr,
		Generation: j.gen, Group: 100 + uint32(j.addr.As4()[3]),
	}
}

func (j *testJail) kill() {
	j.t.Helper()
	j.ns.Close()
	j.unwind(j.undo)
	j.undo = nil
}

func lanMAC(n byte) MAC { return MAC{0x02, 0, 10, 1, 1, n} }

func (r *rig) listing() []string {
	r.t.Helper()
	lines, err := Listing(r.ctx, r.c.RunDir)
	if err != nil {
		r.t.Fatal(err)
	}
	return lines
}

// listen serves TCP and UDP echo at addr in the namespace (nil: the host's).
func (r *rig) listen(ns *os.File, addr netip.Addr, port uint16) {
	r.t.Helper()
	at := netip.AddrPortFrom(addr, port).String()
	r.at(ns, func() error {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		r.t.Cleanup(func() { l.Close(); u.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, "here")
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 64)
			for {
				n, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				u.WriteTo(b[:n], from)
			}
		}()
		return nil
	})
}

// at runs f in the namespace, nil for the host's.
func (r *rig) at(ns *os.File, f func() error) {
	r.t.Helper()
	err := func() error {
		if ns == nil {
			return f()
		}
		return In(ns, f)
	}()
	if err != nil {
		r.t.Fatal(err)
	}
}

// tcp connects and reads the greeting; udp sends and waits for the echo.
func (r *rig) tcp(ns *os.File, addr netip.Addr, port uint16) error {
	return r.try(ns, "tcp", addr, port)
}

func (r *rig) udp(ns *os.File, addr netip.Addr, port uint16) error {
	return r.try(ns, "udp", addr, port)
}

// patience is how long an attempt may take on a loaded machine. What is refused
// is refused at once.
const patience = time.Second

func (r *rig) try(ns *os.File, network string, addr netip.Addr, port uint16) error {
	var result error
	r.at(ns, func() error {
		d := net.Dialer{Timeout: patience}
		c, err := d.Dial(network, netip.AddrPortFrom(addr, port).String())
		if err != nil {
			result = err
			return nil
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		b := make([]byte, 4)
		if network == "udp" {
			c.Write([]byte("ping"))
		}
		_, result = c.Read(b)
		return nil
	})
	return result
}

// wire is a packet socket on a link.
type wire struct {
	t   *testing.T
	fd  int
	dev string
}

func (r *rig) wire(ns *os.File, dev string) *wire {
	r.t.Helper()
	w := &wire{t: r.t, dev: dev}
	r.at(ns, func() error {
		l, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return err
		}
		tv := unix.Timeval{Usec: 150_000}
		if err := unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		return unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: l.Index})
	})
	r.t.Cleanup(func() { unix.Close(w.fd) })
	return w
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if _, err := unix.Write(w.fd, frame); err != nil {
		w.t.Fatalf("send on %s: %v", w.dev, err)
	}
}

// sees says whether a frame that holds the mark arrives.
func (w *wire) sees(mark string) bool {
	deadline := time.Now().Add(150 * time.Millisecond)
	buf := make([]byte, 70_000)
	for time.Now().Before(deadline) {
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if err != nil {
			return false
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if bytes.Contains(buf[:n], []byte(mark)) {
			return true
		}
	}
	return false
}
