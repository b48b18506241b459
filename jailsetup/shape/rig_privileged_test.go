//go:build linux && privileged

package shape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
)

// rig is an experiment's LAN with jails on it, and a keeper.
type rig struct {
	t      testing.TB
	ctx    context.Context
	runDir string
	keeper *Keeper
	stop   func() // ends the keeper as a supervisor's death would
	jails  []*jail
}

type jail struct {
	ns   *os.File
	addr netip.Addr
	link Link
	undo []plan.Undo
}

const (
	experiment = "testbed/shaped"
	patience   = 20 * time.Second // on a loaded machine
)

// newRig makes n jails, 10.1.1.1 and on, unshaped.
func newRig(t testing.TB, n int) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, runDir: filepath.Join(t.TempDir(), "r")}
	r.startKeeper()
	t.Cleanup(func() { r.stop() })
	for i := range n {
		r.boot(byte(i+1), Both{})
	}
	return r
}

func (r *rig) startKeeper() {
	r.t.Helper()
	k, err := NewKeeper(r.runDir, os.Getenv(programPath), func(Link) error { return nil }, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	r.keeper = k
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
}

// boot wires jail n with the steps of a boot.
func (r *rig) boot(n byte, b Both) *jail {
	r.t.Helper()
	j := &jail{ns: newNamespace(r.t), addr: netip.AddrFrom4([4]byte{10, 1, 1, n})}
	vnode := fmt.Sprintf("pcvm1-%d", n)
	mac := network.MAC{2, 0, 10, 1, 1, n}
	addrs := []netip.Prefix{netip.PrefixFrom(j.addr, 24)}
	group := 100 + uint32(n)
	j.link = Link{
		Splice: network.Splice{
			RunDir: r.runDir, Experiment: experiment, LAN: "lan0", VNode: vnode, Index: 1,
			MAC: mac, Addrs: addrs, Generation: 1, Group: group,
		},
		NickName: fmt.Sprintf("node-%c", 'a'+n-1), Interface: "eth1", Shape: b,
	}
	r.jails = append(r.jails, j)
	r.t.Cleanup(func() { r.kill(j) })
	for _, s := range []plan.Step{
		network.Inside{IDBase: 1_000_000},
		network.ExperimentNamespace{RunDir: r.runDir, Experiment: experiment},
		network.ExperimentLink{
			RunDir: r.runDir, Experiment: experiment, LAN: "lan0", VNode: vnode, Name: "eth1", Index: 1,
			MAC: mac, Addrs: addrs, Generation: 1, Group: group,
		},
		Step{Link: j.link, Hands: Hands{Shape: r.keeper.Shape, Unshape: r.keeper.Unshape}},
	} {
		undos, err := s.Undo()
		if err != nil {
			r.t.Fatalf("undo of %s: %v", s, err)
		}
		j.undo = append(j.undo, undos...)
		if err := s.Do(r.ctx, &plan.State{NetNS: j.ns}); err != nil {
			r.t.Fatalf("%s: %v", s, err)
		}
	}
	return j
}

// kill undoes the boot, as the jail's undo log would be.
func (r *rig) kill(j *jail) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := len(j.undo) - 1; i >= 0; i-- {
		u := j.undo[i]
		err := error(nil)
		if u.Kind == KindLink {
			id, _ := j.link.ID()
			err = r.keeper.Unshape(ctx, id)
		} else {
			err = network.Undo(ctx, u)
		}
		if err != nil {
			r.t.Errorf("undo %s %s: %v", u.Kind, u.Data, err)
		}
	}
	j.undo = nil
}

// change shapes by words: the whole LAN, or one node's end.
func (r *rig) change(node string, words ...string) {
	r.t.Helper()
	if _, err := r.keeper.Change(r.ctx, experiment, "lan0", node, words); err != nil {
		r.t.Fatalf("change %v: %v", words, err)
	}
}

func (r *rig) status(n int) Status {
	r.t.Helper()
	list, err := r.keeper.Show(experiment, "lan0", r.jails[n].link.NickName)
	if err != nil || len(list) != 1 {
		r.t.Fatalf("show: %v, %d links", err, len(list))
	}
	return list[0]
}

// await polls until f is true.
func (r *rig) await(what string, f func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not after %s", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}

// newNamespace makes a network namespace that lives as long as its file.
func newNamespace(t testing.TB) *os.File {
	t.Helper()
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread dies with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			done <- result{nil, err}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		done <- result{f, err}
	}()
	res := <-done
	if res.err != nil {
		t.Fatal(res.err)
	}
	t.Cleanup(func() { res.f.Close() })
	return res.f
}

// in runs f in the jail's network namespace, on a thread that then ends.
func (j *jail) in(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(j.ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// udp binds a UDP socket in the jail.
func (j *jail) udp(t testing.TB) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	j.in(t, func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: j.addr.AsSlice()})
		return err
	})
	t.Cleanup(func() { c.Close() })
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roundTrip sends a datagram to an echoing jail and says how long it took.
func (r *rig) roundTrip(from, to *jail) time.Duration {
	r.t.Helper()
	d, err := r.tryRoundTrip(from, to, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *rig) tryRoundTrip(from, to *jail, timeout time.Duration) (time.Duration, error) {
	a, b := from.udp(r.t), to.udp(r.t)
	defer a.Close()
	go func() {
		buf := make([]byte, 64)
		for {
			n, peer, err := b.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			b.WriteToUDPAddrPort(buf[:n], peer)
		}
	}()
	defer b.Close()
	at := b.LocalAddr().(*net.UDPAddr).AddrPort()
	buf := make([]byte, 64)
	deadline := time.Now().Add(timeout)
	for time.Now().Before(deadline) {
		began := time.Now()
		a.WriteToUDPAddrPort([]byte("ping"), at)
		a.SetReadDeadline(began.Add(time.Second))
		if _, _, err := a.ReadFromUDPAddrPort(buf); err == nil {
			return time.Since(began), nil
		}
	}
	return 0, errors.New("no echo")
}

// flood sends datagrams at one and a half times the rate and gives what of it
// arrives, in bit/s of Ethernet frames.
func (r *rig) flood(from, to *jail, bits float64, measured time.Duration) float64 {
	r.t.Helper()
	const payload, frame = 1400, 1400 + 42
	r.roundTrip(from, to)
	a, b := from.udp(r.t), to.udp(r.t)
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	at := b.LocalAddr().(*net.UDPAddr).AddrPort()
	go func() {
		msg, sent, began := make([]byte, payload), 0, time.Now()
		for ctx.Err() == nil {
			for float64(sent)*frame*8 < time.Since(began).Seconds()*bits*1.5 {
				a.WriteToUDPAddrPort(msg, at)
				sent++
			}
			time.Sleep(time.Millisecond)
		}
	}()
	stamped(r.t, b)
	buf, oob := make([]byte, 2048), make([]byte, 128)
	// By the kernel's clock: this process may be late, and the queue is long
	// enough for a sender that is.
	var first, last, n int64
	for last-first < int64(measured) {
		b.SetReadDeadline(time.Now().Add(patience))
		_, oobn, _, _, err := b.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			r.t.Fatalf("read the flood: %v", err)
		}
		if n++; n == 50 { // the queue is filling
			first = stamp(r.t, oob[:oobn])
		}
		last = max(first, stamp(r.t, oob[:oobn]))
		if n < 50 {
			last = first
		}
	}
	return float64(n-50) * frame * 8 / time.Duration(last-first).Seconds()
}

// stream sends TCP from one jail to the other for a time and gives the rate of
// payload that arrived, in bit/s, after a warm-up.
func (r *rig) stream(from, to *jail, warm, measured time.Duration) float64 {
	r.t.Helper()
	var l *net.TCPListener
	to.in(r.t, func() (err error) {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: to.addr.AsSlice()})
		return err
	})
	defer l.Close()
	var out net.Conn
	from.in(r.t, func() (err error) {
		out, err = net.DialTimeout("tcp4", l.Addr().String(), patience)
		return err
	})
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Close()
	go func() {
		buf := make([]byte, 256<<10)
		for {
			if _, err := out.Write(buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 1<<20)
	read := func(d time.Duration) (int, time.Duration) {
		began, total := time.Now(), 0
		for time.Since(began) < d {
			in.SetReadDeadline(time.Now().Add(patience))
			n, err := in.Read(buf)
			if err != nil {
				r.t.Fatalf("read the stream: %v", err)
			}
			total += n
		}
		return total, time.Since(began)
	}
	read(warm)
	n, took := read(measured)
	return float64(n) * 8 / took.Seconds()
}
