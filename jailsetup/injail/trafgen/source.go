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
	seq   uint64
	buf   []byte
	rest  []byte // over TCP: what of the last packet hasn't gone out yet
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
	return &source{conn: conn, raw: raw, udp: rec.Proto == "udp", meter: m, run: rand.Uint32()}, nil
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

func (s *source) send(p Params, n int) (sent int, err error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(react)); err != nil {
		return 0, err
	}
	if cap(s.buf) < p.Size {
		s.buf = make([]byte, p.Size)
	}
	var bytes int64
	for sent < n && err == nil {
		var wrote bool
		if wrote, err = s.packet(s.buf[:p.Size]); wrote {
			sent++
			bytes += int64(p.Size)
		} else {
			break
		}
	}
	s.meter.change(func(c *counts) {
		c.sentPackets += int64(sent)
		c.sentBytes += bytes
	})
	return sent, err
}

// packet sends one. False without an error: not now, the socket is full.
func (s *source) packet(buf []byte) (bool, error) {
	if len(s.rest) > 0 { // it was counted when it began
		if err := s.flush(); err != nil || len(s.rest) > 0 {
			return false, err
		}
	}
	header{run: s.run, seq: s.seq, sent: time.Now().UnixNano()}.put(buf)
	n, err := s.conn.Write(buf)
	switch {
	case err == nil:
		s.seq++
		return true, nil
	case !s.udp && errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
		s.rest = append(s.rest[:0], buf[n:]...)
		s.seq++
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case s.udp && errors.Is(err, syscall.ECONNREFUSED):
		// The answer to an earlier packet: the sink isn't there (yet). The
		// kernel gives it instead of sending; the packet counts as lost.
		s.seq++
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
