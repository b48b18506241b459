package trafgen

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

// TestAcceptance is what jail.md §6.4 wants of an equivalent, point by point, as
// far as it is this package's. Elsewhere: 3 and 8 in package agents (TestHub,
// TestHubComesBack), 6 in TestPace and e2e TestTraffic, 9 and 10 in e2e TestTraffic.
func TestAcceptance(t *testing.T) {
	t.Run("1: a flow a record, by names as well as by numbers", func(t *testing.T) {
		recs := append(records(t, "udp", "cbr0", "null0"), records(t, "tcp", "cbr1", "null1")...)
		for i := range 2 {
			recs[i].MyName, recs[i].PeerName = "localhost", "localhost"
		}
		p := newSet(t, recs...)
		if n := p.Len(); n != len(recs) {
			t.Errorf("%d flows for %d records", n, len(recs))
		}
		for source, sink := range map[string]string{"cbr0": "null0", "cbr1": "null1"} {
			p.event(source, "START", "PACKETSIZE=100 INTERVAL=0.01")
			until(t, sink+" to receive", func() bool { return p.status(sink).Total.ReceivedBytes >= 300 })
		}
	})
	t.Run("2: the sink listens before the first START, which sets up what missed the start of time", func(t *testing.T) {
		recs := records(t, "tcp", "cbr0", "null0")
		p := newSet(t, recs...)
		c, err := net.Dial("tcp", address(recs[1].MyName, recs[1].MyPort))
		if err != nil {
			t.Fatalf("no event yet, and the sink doesn't listen: %v", err)
		}
		c.Close()
		if s := p.status("cbr0").State; s != Idle {
			t.Errorf("the source is %v", s)
		}
		p.event("cbr0", "START", "PACKETSIZE=100 INTERVAL=0.01")
		until(t, "traffic without a TIME/START", func() bool { return p.status("null0").Total.ReceivedPackets > 2 })
	})
	t.Run("4: a rate is sticky, arguments hold all or not at all", func(t *testing.T) {
		recs := records(t, "udp", "cbr0", "null0")
		p := newSet(t, recs...)
		p.event("cbr0", "START", "PACKETSIZE=1000 RATE=800")
		p.event("cbr0", "MODIFY", "PACKETSIZE=100") // ten times the packets
		if err := p.Deliver(p.ctx, event.Event{Object: "cbr0", Type: event.TrafGen, Action: "MODIFY", Args: "RATE=8 PACKETSIZE=70000"}); err == nil {
			t.Error("PACKETSIZE=70000 is taken")
		}
		before, began := p.status("null0").Total.ReceivedPackets, time.Now()
		until(t, "500 packets", func() bool { return p.status("null0").Total.ReceivedPackets-before >= 500 })
		if took := time.Since(began); took < 350*time.Millisecond { // 1000 a second
			t.Errorf("500 packets in %v", took)
		}
	})
	t.Run("7: TCP writes go out at once, a peer's reset is not fatal", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p := newSet(t, protocol.TrafGen{Name: "cbr0", MyName: "127.0.0.1", PeerName: "127.0.0.1", PeerPort: l.Addr().(*net.TCPAddr).Port,
			Proto: "tcp", Role: "source", Generator: "TG"})
		p.event("cbr0", "START", "PACKETSIZE=100 INTERVAL=0.01")
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 300)); err != nil {
				t.Fatal(err)
			}
			abort(c) // a reset
		}
		if s := p.status("cbr0").State; s != Sending {
			t.Errorf("after resets the source is %v", s)
		}
	})
}

// TestNoNagle: the count of packets on the link is the count of writes.
func TestNoNagle(t *testing.T) {
	recs := records(t, "tcp", "cbr0", "null0")
	newSet(t, recs[1])
	var m meter
	end, err := newSource(context.Background(), recs[0], &m)
	if err != nil {
		t.Fatal(err)
	}
	defer end.close()
	raw, err := end.(*source).raw.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	if ctl := raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_NODELAY) }); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
	if on == 0 {
		t.Error("small writes wait for each other")
	}
}
