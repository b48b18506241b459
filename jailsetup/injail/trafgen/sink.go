package trafgen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"emujail/protocol"
)

// maxPeers bounds the sources that a sink tells apart, and over TCP those that
// are connected at once. A record has one peer; more is a repeat or a mistake.
const maxPeers = 16

// sink is the receiving end: it counts and throws away.
type sink struct {
	udp   *net.UDPConn
	tcp   *net.TCPListener
	meter *meter

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	gone   chan struct{} // closed with it
	done   sync.WaitGroup
}

// newSink binds the record's own address and starts to receive.
func newSink(ctx context.Context, rec protocol.TrafGen, m *meter) (endpoint, error) {
	at := address(rec.MyName, rec.MyPort)
	lc := net.ListenConfig{Control: reuse}
	s := &sink{meter: m, conns: make(map[net.Conn]bool), gone: make(chan struct{})}
	if rec.Proto == "udp" {
		c, err := lc.ListenPacket(ctx, "udp", at)
		if err != nil {
			return nil, err
		}
		s.udp = c.(*net.UDPConn)
		_ = s.udp.SetReadBuffer(1 << 20) // the kernel's maximum if that is less
		if err := joinSegments(s.udp); err != nil {
			c.Close()
			return nil, err
		}
		s.done.Go(s.receive)
		return s, nil
	}
	l, err := lc.Listen(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	s.tcp = l.(*net.TCPListener)
	s.done.Go(s.accept)
	return s, nil
}

// receive takes datagrams until the socket is closed. The kernel may hand over
// several packets of one sender in one (UDP_GRO): each is counted.
func (s *sink) receive() {
	buf, oob := make([]byte, 64<<10), make([]byte, 64)
	peers := make(map[netip.AddrPort]*tracker)
	for {
		n, m, _, from, err := s.udp.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.meter.change(func(c *counts) { c.errors++ })
			s.pause(react)
			continue
		}
		now := time.Now()
		size := segmentSize(oob[:m])
		if size <= 0 {
			size = max(n, 1)
		}
		t := peers[from]
		if t == nil && len(peers) < maxPeers {
			t = &tracker{}
			peers[from] = t
		}
		s.meter.change(func(c *counts) {
			for rest := buf[:n]; ; rest = rest[size:] {
				packet := rest[:min(size, len(rest))]
				c.receivedPackets++
				c.receivedBytes += int64(len(packet))
				if h, ours := parseHeader(packet); ours && t != nil {
					t.add(h, now, c)
				}
				if len(rest) <= size {
					return
				}
			}
		})
	}
}

// pause waits, but not beyond the sink's closing.
func (s *sink) pause(wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-s.gone:
	}
}

func (s *sink) accept() {
	pause := 5 * time.Millisecond
	for {
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // descriptors used up, for one: passes
			s.pause(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		if !s.admit(c) {
			abort(c)
			continue
		}
		s.done.Go(func() {
			s.drain(c)
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			abort(c)
		})
	}
}

func (s *sink) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxPeers {
		return false
	}
	s.conns[c] = true
	return true
}

// drain reads a stream to its end. As long as it consists of our packets they
// are told apart; from the first byte that isn't, only bytes are counted.
func (s *sink) drain(c net.Conn) {
	r := bufio.NewReaderSize(c, 64<<10)
	var t tracker
	for {
		head, err := r.Peek(headerLen)
		h, ours := parseHeader(head)
		if err != nil || !ours || h.size < headerLen {
			break
		}
		now := time.Now()
		s.meter.change(func(c *counts) { t.add(h, now, c) })
		if err := s.take(r, int(h.size)); err != nil {
			return
		}
		s.meter.change(func(c *counts) { c.receivedPackets++ })
	}
	for s.take(r, max(1, r.Buffered())) == nil {
	}
}

// take counts and drops n bytes, as they come.
func (s *sink) take(r *bufio.Reader, n int) error {
	for n > 0 {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		k, err := r.Discard(min(n, r.Buffered()))
		s.meter.change(func(c *counts) { c.receivedBytes += int64(k) })
		if n -= k; err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

func (s *sink) send(Params, int) (int, error) { return 0, nil }

func (s *sink) setTOS(tos int) error {
	if s.udp != nil {
		return setTOS(s.udp, tos)
	}
	return setTOS(s.tcp, tos)
}

func (s *sink) close() {
	s.mu.Lock()
	if !s.closed {
		close(s.gone)
	}
	s.closed = true
	for c := range s.conns {
		abort(c)
	}
	s.mu.Unlock()
	if s.udp != nil {
		s.udp.Close()
	} else {
		s.tcp.Close()
	}
	s.done.Wait()
}
