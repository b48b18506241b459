package trafgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"

	"emujail/protocol"
)

// source is the sending end: a connected socket and the packet to send.
type source struct {
	conn  net.Conn
	raw   syscall.Conn
	udp   bool
	meter *meter
	run   uint32
	epoch time.Time // of the set-up: packets tell time since then
	seq   uint64
	buf   []byte
	rest  []byte // over TCP: what of the last packet hasn't gone out yet

	segments bool // the kernel cuts a large datagram into packets (UDP_SEGMENT)
}

// newSource binds the record's own address and connects to the peer's.
func newSource(ctx context.Context, rec protocol.TrafGen, m *meter) (endpoint, error) {
	from, to := address(rec.MyName, rec.MyPort), address(rec.PeerName, rec.PeerPort)
	local, err := resolve(ctx, rec.Proto, from)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: local, Control: reuse}
	conn, err := d.DialContext(ctx, rec.Proto, to)
	if err != nil {
		return nil, err
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("connect %s: no socket", to)
	}
	udp := rec.Proto == "udp"
	return &source{conn: conn, raw: raw, udp: udp, meter: m, run: rand.Uint32(), epoch: time.Now(), segments: udp}, nil
}

// resolve turns an address with a name or a number into what a Dialer binds.
func resolve(ctx context.Context, proto, addr string) (net.Addr, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, proto, port)
	if err != nil {
		return nil, err
	}
	ip := net.IP(ips[0].Unmap().AsSlice())
	if proto == "udp" {
		return &net.UDPAddr{IP: ip, Port: n}, nil
	}
	return &net.TCPAddr{IP: ip, Port: n}, nil
}

// maxChunk bounds the bytes of packets that go out by one write.
const maxChunk = 256 << 10

func (s *source) send(p Params, n int) (sent int, err error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(react)); err != nil {
		return 0, err
	}
	// Flat out, one system call takes many packets: over TCP always, over UDP
	// by segmentation in the kernel. Paced packets go one by one: each is to be
	// seen on the link as one, when it's due.
	if n > 1 && p.Interval == 0 && p.Size > 0 && (!s.udp || s.segments) {
		sent, err = s.chunk(p.Size, n)
	} else {
		sent, err = s.single(p.Size, n)
	}
	s.meter.change(func(c *counts) {
		c.sentPackets += int64(sent)
		c.sentBytes += int64(sent) * int64(p.Size)
	})
	return sent, err
}

// single sends packets one at a time.
func (s *source) single(size, n int) (sent int, err error) {
	buf := s.space(size)
	for sent < n {
		wrote, err := s.packet(buf)
		if !wrote {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// chunk sends up to n packets by one write.
func (s *source) chunk(size, n int) (sent int, err error) {
	if len(s.rest) > 0 {
		if err := s.flush(); err != nil || len(s.rest) > 0 {
			return 0, err
		}
	}
	limit := maxChunk
	if s.udp {
		limit = maxSegmented
	}
	n = min(n, max(1, limit/size))
	buf := s.space(n * size)
	now := int64(time.Since(s.epoch))
	for i := range n {
		header{run: s.run, seq: s.seq + uint64(i), sent: now}.put(buf[i*size : (i+1)*size])
	}
	if s.udp {
		return s.writeSegments(buf, size, n)
	}
	wrote, err := s.conn.Write(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	// A packet that has begun counts; its rest goes out first next time.
	sent = (wrote + size - 1) / size
	s.rest = append(s.rest[:0], buf[wrote:sent*size]...)
	s.passed(size, sent)
	return sent, err
}

// writeSegments sends a datagram that the kernel cuts into n.
func (s *source) writeSegments(buf []byte, size, n int) (int, error) {
	_, _, err := s.conn.(*net.UDPConn).WriteMsgUDP(buf, segmentation(size), nil)
	switch {
	case err == nil, errors.Is(err, syscall.ECONNREFUSED):
		s.passed(size, n)
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMSGSIZE):
		s.segments = false // larger than the link's packets, or a device that can't
		return s.single(size, n)
	}
	return 0, err
}

// passed moves the sequence on over n packets. Those without a header have no
// number: a sink would take them for lost.
func (s *source) passed(size, n int) {
	if size >= headerLen {
		s.seq += uint64(n)
	}
}

// space returns a buffer of that size, zero but for headers of earlier use.
func (s *source) space(n int) []byte {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	return s.buf[:n]
}

// packet sends one. False without an error: not now, the socket is full.
func (s *source) packet(buf []byte) (bool, error) {
	if len(s.rest) > 0 { // it was counted when it began
		if err := s.flush(); err != nil || len(s.rest) > 0 {
			return false, err
		}
	}
	header{run: s.run, seq: s.seq, sent: int64(time.Since(s.epoch))}.put(buf)
	n, err := s.conn.Write(buf)
	switch {
	case err == nil:
		s.passed(len(buf), 1)
		return true, nil
	case !s.udp && errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
		s.rest = append(s.rest[:0], buf[n:]...)
		s.passed(len(buf), 1)
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case s.udp && errors.Is(err, syscall.ECONNREFUSED):
		// The answer to an earlier packet: the sink isn't there (yet). The
		// kernel gives it instead of sending; the packet counts as lost.
		s.passed(len(buf), 1)
		s.meter.change(func(c *counts) { c.errors++ })
		return true, nil
	}
	return false, err
}

func (s *source) flush() error {
	n, err := s.conn.Write(s.rest)
	s.rest = s.rest[n:]
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func (s *source) setTOS(tos int) error { return setTOS(s.raw, tos) }

func (s *source) close() { abort(s.conn) }
