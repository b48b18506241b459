//go:build linux && privileged

package shape

import (
	"encoding/binary"
	"math"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

func TestUnshapedHasNoSplice(t *testing.T) {
	r := newRig(t, 2)
	r.roundTrip(r.jails[0], r.jails[1])
	if s := r.status(0); s.Link.Spliced || s.ByNode {
		t.Errorf("an unshaped link is spliced: %+v", s)
	}
}

// TestRate: the wire's rate is what was asked for, also after a change under
// way; TCP, whose frames the device cuts, comes close to it.
func TestRate(t *testing.T) {
	r := newRig(t, 2)
	for _, rate := range []struct {
		word string
		bits float64
	}{{"rate=2Mb", 2e6}, {"rate=10Mb", 10e6}, {"rate=100Mb", 100e6}} {
		r.change("", rate.word, "queue=1000")
		var got float64
		for range 3 { // whoever sends may have been kept from it: too little is asked again, too much never
			got = r.flood(r.jails[0], r.jails[1], rate.bits, 2*time.Second)
			t.Logf("%s: %.2f Mbit/s on the wire", rate.word, got/1e6)
			if got > rate.bits*0.95 {
				break
			}
		}
		if math.Abs(got/rate.bits-1) > 0.05 {
			t.Errorf("%s: %.2f Mbit/s on the wire, want within 5 %%", rate.word, got/1e6)
		}
	}
	r.change("", "queue=50")
	got := r.stream(r.jails[0], r.jails[1], 500*time.Millisecond, 2*time.Second)
	t.Logf("TCP: %.2f Mbit/s of payload", got/1e6)
	if got < 50e6 || got > 100e6 {
		t.Errorf("TCP over 100 Mbit/s: %.2f Mbit/s of payload", got/1e6)
	}
	if r.status(0).ByNode {
		t.Error("a rate alone goes through the delay node")
	}
}

// TestDelay: a word's delay is one way between two nodes, wherever it stands,
// and changes while the link is up.
func TestDelay(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.jails[0], r.jails[1]
	tests := []struct {
		name  string
		node  string
		words []string
		rtt   time.Duration
	}{
		{"a link", "", []string{"delay=20ms"}, 40 * time.Millisecond},
		{"less", "", []string{"delay=5ms"}, 10 * time.Millisecond},
		{"one node's end, both ways", "node-a", []string{"none", "delay=15ms"}, 35 * time.Millisecond}, // and node-b's 5
		{"one direction", "node-a", []string{"none", "in.delay=30ms"}, 35 * time.Millisecond},
	}
	for _, tt := range tests {
		r.change(tt.node, tt.words...)
		r.roundTrip(a, b) // ARP, caches
		all := r.roundTrips(a, b)
		median := all[len(all)/2]
		t.Logf("%s: %s", tt.name, median)
		if all[0] < tt.rtt || median > tt.rtt+10*time.Millisecond {
			t.Errorf("%s: round trip %s (least %s), want %s", tt.name, median, all[0], tt.rtt)
		}
	}
	r.change("", "none")
	if s := r.status(0); s.ByNode {
		t.Error("the delay node carries a link that needs it no more")
	}
	if all := r.roundTrips(a, b); all[0] > 5*time.Millisecond { // one trip may be the machine's
		t.Errorf("round trip %s (least %s) after none", all[len(all)/2], all[0])
	}
}

// roundTrips are the times of fifteen, the least first.
func (r *rig) roundTrips(from, to *jail) (all []time.Duration) {
	r.t.Helper()
	for range 15 {
		all = append(all, r.roundTrip(from, to))
	}
	slices.Sort(all)
	return all
}

// TestStreamOfDatagrams: 10 ms at 1,000 packets a second, none lost, none
// overtaken, on time in the median (the strict figure is BenchmarkShapeDelay).
func TestStreamOfDatagrams(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms")
	late, order := r.probe(t, 2000, 1000, nil)
	slices.Sort(late)
	t.Logf("median %s, p99 %s of %d", late[len(late)/2], late[len(late)*99/100], len(late))
	if len(late) != 2000 || !order {
		t.Errorf("%d of 2000 arrived, in order: %v", len(late), order)
	}
	if m := late[len(late)/2]; m < 10*time.Millisecond || m > 15*time.Millisecond {
		t.Errorf("median delay %s, want 10 ms", m)
	}
}

// probe sends numbered datagrams at a pace and gives each one's time on the way.
// The sender's goroutine begins and ends with what prepare says, if anything.
func (r *rig) probe(t testing.TB, count, perSecond int, prepare func() (done func())) (late []time.Duration, inOrder bool) {
	t.Helper()
	r.roundTrip(r.jails[0], r.jails[1])
	a, b := r.jails[0].udp(t), r.jails[1].udp(t)
	stamped(t, b)
	go func() {
		if prepare != nil {
			defer prepare()()
		}
		began := time.Now()
		to := b.LocalAddr().(*net.UDPAddr).AddrPort()
		for i := range count {
			for next := began.Add(time.Duration(i) * time.Second / time.Duration(perSecond)); time.Until(next) > 0; {
				if d := time.Until(next); d > 200*time.Microsecond {
					time.Sleep(d - 200*time.Microsecond)
				}
			}
			msg := binary.BigEndian.AppendUint64(nil, uint64(i))
			msg = binary.BigEndian.AppendUint64(msg, uint64(time.Now().UnixNano()))
			a.WriteToUDPAddrPort(msg, to)
		}
	}()
	inOrder = true
	buf, oob := make([]byte, 64), make([]byte, 128)
	for last := -1; last < count-1; {
		b.SetReadDeadline(time.Now().Add(3 * time.Second))
		_, oobn, _, _, err := b.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			break // the rest is lost
		}
		n := int(binary.BigEndian.Uint64(buf))
		inOrder = inOrder && n > last
		last = max(last, n)
		// When it came, as the kernel says: our own wake-up isn't the link's.
		late = append(late, time.Duration(stamp(t, oob[:oobn])-int64(binary.BigEndian.Uint64(buf[8:]))))
	}
	return late, inOrder
}

// stamped makes the kernel say when each datagram came.
func stamped(t testing.TB, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err != nil {
		t.Fatal(err)
	}
}

func stamp(t testing.TB, oob []byte) int64 {
	t.Helper()
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 {
		t.Fatalf("no time stamp: %v", err)
	}
	d := msgs[0].Data
	return int64(binary.NativeEndian.Uint64(d))*1e9 + int64(binary.NativeEndian.Uint64(d[8:]))
}

// TestLoss: the share lost is what chance allows, and with a seed it is the
// same packets each time.
func TestLoss(t *testing.T) {
	const count, share = 5000, 0.1
	lost := func() int {
		r := newRig(t, 2)
		r.change("node-a", "out.loss=0.1", "out.seed=42")
		a, b := r.jails[0].udp(t), r.jails[1].udp(t)
		to := b.LocalAddr().(*net.UDPAddr).AddrPort()
		for i := range count {
			a.WriteToUDPAddrPort([]byte("x"), to)
			if i%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		r.await("all accounted for", func() bool {
			c := r.status(0).Out.Node
			return c.Packets+c.Lost >= count
		})
		c := r.status(0).Out.Node
		if c.Missed+c.Overflow+c.Bad > 0 {
			t.Errorf("not by chance: %+v", c)
		}
		return int(c.Lost)
	}
	n := lost()
	sigma := math.Sqrt(count * share * (1 - share))
	if d := math.Abs(float64(n) - count*share); d > 4*sigma {
		t.Errorf("lost %d of %d, want %.0f ± %.0f", n, count, count*share, 4*sigma)
	}
	t.Logf("lost %d of %d", n, count)
}

// TestTCP: streams cross the node, with frames that the device would cut, whole
// and cut by us.
func TestTCP(t *testing.T) {
	r := newRig(t, 2)
	for _, words := range [][]string{
		{"delay=1ms"},
		{"delay=1ms", "jitter=500us"},
		{"none", "loss=0.0001"},
		{"none", "rate=50Mb", "red=on"},
	} {
		r.change("", words...)
		got := r.stream(r.jails[0], r.jails[1], 200*time.Millisecond, time.Second)
		s := r.status(0)
		t.Logf("%v: %.0f Mbit/s, %+v", words, got/1e6, s.Out.Node)
		if got < 5e6 || !s.ByNode || s.Out.Node.Bad > 0 {
			t.Errorf("%v: %.1f Mbit/s through the node, %+v", words, got/1e6, s)
		}
	}
}

// TestNodeKilled: another node is there within a second, and the link works as
// before.
func TestNodeKilled(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms")
	for range 3 {
		r.keeper.mu.Lock()
		pid := r.keeper.node.pid
		r.keeper.mu.Unlock()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.await("another delay node", func() bool {
			r.keeper.mu.Lock()
			defer r.keeper.mu.Unlock()
			return r.keeper.node != nil && r.keeper.node.pid != pid
		})
		took := time.Since(began)
		t.Logf("back after %s", took)
		if d := r.roundTrip(r.jails[0], r.jails[1]); d < 20*time.Millisecond {
			t.Errorf("round trip %s, want 20 ms", d)
		}
	}
}

// TestSupervisorKilled: links go on without a supervisor; the next one takes
// the same node over, learns nothing from it that isn't recorded, and changes
// links.
func TestSupervisorKilled(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms")
	r.keeper.mu.Lock()
	pid := r.keeper.node.pid
	r.keeper.mu.Unlock()
	r.stop()
	if d := r.roundTrip(r.jails[0], r.jails[1]); d < 20*time.Millisecond {
		t.Errorf("without a supervisor: round trip %s, want 20 ms", d)
	}
	r.startKeeper()
	r.await("taking the node over", func() bool {
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		return r.keeper.node != nil
	})
	r.keeper.mu.Lock()
	if now := r.keeper.node.pid; now != pid {
		t.Errorf("node %d, want the old one, %d", now, pid)
	}
	r.keeper.mu.Unlock()
	r.change("", "delay=20ms")
	if d := r.roundTrip(r.jails[0], r.jails[1]); d < 40*time.Millisecond {
		t.Errorf("after a change by the next supervisor: round trip %s, want 40 ms", d)
	}
}

// TestBothKilled: from the records alone everything comes back.
func TestBothKilled(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms")
	r.keeper.mu.Lock()
	pid := r.keeper.node.pid
	r.keeper.mu.Unlock()
	r.stop()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.startKeeper()
	if d := r.roundTrip(r.jails[0], r.jails[1]); d < 20*time.Millisecond {
		t.Errorf("round trip %s, want 20 ms", d)
	}
}

// TestNothingLeft: after the jails there is no device, namespace, record,
// socket or process.
func TestNothingLeft(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms", "rate=100Mb")
	r.roundTrip(r.jails[0], r.jails[1])
	r.keeper.mu.Lock()
	n := r.keeper.node
	r.keeper.mu.Unlock()
	for _, j := range r.jails {
		j.ns.Close()
		r.kill(j)
	}
	left, err := network.Listing(r.ctx, r.runDir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the network: %v, %v", left, err)
	}
	entries, err := os.ReadDir(r.runDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "network.lock" {
			t.Errorf("left in the run directory: %s", e.Name())
		}
	}
	select {
	case <-n.gone:
	case <-time.After(patience):
		t.Error("the delay node goes on without links")
	}
}

// TestSpoof: the filter against foreign sources stands, shaped or not.
func TestSpoof(t *testing.T) {
	r := newRig(t, 3)
	for _, words := range [][]string{{"rate=100Mb"}, {"delay=1ms"}} {
		r.change("", words...)
		r.roundTrip(r.jails[0], r.jails[1])
		j := r.jails[2]
		sniff := packetSocket(t, r.jails[1])
		send := packetSocket(t, j)
		own := frame(j.link.Splice.MAC, "genuine")
		foreign := frame(network.MAC{2, 0, 10, 1, 1, 1}, "forged")
		for _, f := range [][]byte{foreign, own} {
			if _, err := unix.Write(send, f); err != nil {
				t.Fatal(err)
			}
		}
		seen := sniffed(sniff, "genuine", "forged")
		if !seen["genuine"] || seen["forged"] {
			t.Errorf("%v: arrived: %v, want the genuine frame alone", words, seen)
		}
	}
}
