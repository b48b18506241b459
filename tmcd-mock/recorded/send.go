package recorded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"emujail/protocol"
)

const (
	// noDatagram is how long nothing must come for "no-datagram".
	noDatagram = 200 * time.Millisecond
	// patience bounds one exchange, on top of what its record took.
	patience = 20 * time.Second
)

// Client sends records to a tmcd.
type Client struct {
	Addr netip.AddrPort
	TLS  *tls.Config // for records over TLS; nil: they fail
}

// Do sends one record from its own source address and gives the whole reply
// and how the exchange ended, in a record's words. The machine must have the
// source address: Linux has all of 127.0.0.0/8, others want aliases.
func (c *Client) Do(ctx context.Context, r *Record) (reply []byte, end string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience+r.Took)
	defer cancel()
	if r.Transport == "udp" {
		return c.datagram(ctx, r)
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.Source, 0))}
	raw, err := d.DialContext(ctx, "tcp4", c.Addr.String())
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", r.ID, err)
	}
	defer raw.Close()
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, "", err
	}
	conn := raw
	if r.Transport == "ssl" {
		if conn, err = c.handshake(ctx, raw); err != nil {
			return nil, "", fmt.Errorf("%s: %w", r.ID, err)
		}
	}
	return exchange(ctx, conn, raw, r)
}

func (c *Client) handshake(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if c.TLS == nil {
		return nil, errors.New("no certificate for TLS")
	}
	if _, err := raw.Write([]byte(protocol.TLSTag)); err != nil {
		return nil, err
	}
	conn := tls.Client(raw, c.TLS)
	return conn, conn.HandshakeContext(ctx)
}

func exchange(ctx context.Context, conn, raw net.Conn, r *Record) ([]byte, string, error) {
	writeErr := send(ctx, conn, r)
	if tcp, ok := raw.(*net.TCPConn); ok && writeErr == nil && !r.HalfOpen && conn == raw {
		writeErr = tcp.CloseWrite()
	}
	reply, readErr := io.ReadAll(conn)
	for _, err := range []error{readErr, writeErr} {
		switch {
		case err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ENOTCONN):
			return reply, "reset", nil
		case errors.Is(err, syscall.EPIPE):
			return reply, "epipe", nil
		default:
			return reply, "", fmt.Errorf("%s: %w", r.ID, err)
		}
	}
	return reply, "eof", nil
}

// send writes the pieces; each is one write, so that a server that reads once
// gets what the recorded one got. Over TLS a piece is one record.
func send(ctx context.Context, conn net.Conn, r *Record) error {
	for _, s := range r.Sends {
		if s.After > 0 {
			select {
			case <-time.After(s.After):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if len(s.Bytes) == 0 {
			continue
		}
		if _, err := conn.Write(s.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) datagram(ctx context.Context, r *Record) ([]byte, string, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.Source, 0))}
	conn, err := d.DialContext(ctx, "udp4", c.Addr.String())
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", r.ID, err)
	}
	defer conn.Close()
	if _, err := conn.Write(r.Request()); err != nil {
		return nil, "", fmt.Errorf("%s: %w", r.ID, err)
	}
	wait := noDatagram
	if r.End == "datagram" {
		wait = patience // one that comes comes at once, unless the machine is busy
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, "", err
	}
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	var timeout net.Error
	switch {
	case err == nil:
		return buf[:n], "datagram", nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, "no-datagram", nil
	}
	return nil, "", fmt.Errorf("%s: %w", r.ID, err)
}
