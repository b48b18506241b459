package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"emujail/protocol"
)

// An exchange is one request on its way to one set of servers.
type exchange struct {
	c        *Client
	req      protocol.Request
	wire     []byte // req as it goes over the wire
	out      io.Writer
	progress func() // called whenever bytes arrive
}

// An endpoint is one place to knock at.
type endpoint struct {
	server Server
	addr   netip.AddrPort // not for unix
	path   string         // unix only
}

func (e endpoint) String() string {
	if e.path != "" {
		return e.path
	}
	if e.server.Name == "" || e.server.Name == e.addr.Addr().String() {
		return e.addr.String()
	}
	return e.server.Name + " (" + e.addr.String() + ")"
}

// hosts lists where to knock, in order: an inner list for each address, of its
// ports.
func (c *Client) hosts(servers []Server) [][]endpoint {
	if c.opts.Network == Unix {
		return [][]endpoint{{{path: c.opts.UnixPath}}}
	}
	var hosts [][]endpoint
	for _, s := range servers {
		ports := s.Ports
		if len(ports) == 0 {
			ports = []int{protocol.DefaultPort, protocol.SecondPort}
		}
		for _, a := range s.Addrs {
			var doors []endpoint
			for _, p := range ports {
				doors = append(doors, endpoint{server: s, addr: netip.AddrPortFrom(a.Unmap(), uint16(p))})
			}
			hosts = append(hosts, doors)
		}
	}
	return hosts
}

// run knocks at every host until one answers. When all refuse it pauses and
// starts over, until ctx ends. It returns the redirect that was the answer, if
// it was one.
func (x exchange) run(ctx context.Context, servers []Server) (*redirect, error) {
	hosts := x.c.hosts(servers)
	var nobody error // what the last round that met nobody said
	for round := 0; ; round++ {
		target, err := x.anyHost(ctx, hosts)
		if nobody != nil && isDial(err) && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), nobody)
		}
		pause, again := x.c.pause(err)
		if !again {
			return target, err
		}
		nobody = err
		x.c.logPause(ctx, round, pause, err)
		sleep(ctx, pause)
	}
}

// anyHost asks the first host that can be connected to. Its error is a refusal
// only if every host refused.
func (x exchange) anyHost(ctx context.Context, hosts [][]endpoint) (*redirect, error) {
	var worst error
	for _, doors := range hosts {
		target, err := x.anyDoor(ctx, doors)
		if !isDial(err) || ctx.Err() != nil {
			return target, err
		}
		if worst == nil || !isRefused(err) {
			worst = err
		}
	}
	return nil, worst
}

// anyDoor asks at the first port of a host that doesn't refuse.
func (x exchange) anyDoor(ctx context.Context, doors []endpoint) (*redirect, error) {
	var refused error
	for _, d := range doors {
		target, err := x.attempt(ctx, d)
		if !isDial(err) || !isRefused(err) {
			return target, err
		}
		refused = err
	}
	return nil, refused
}

// attempt connects to e, sends the request and copies the reply. Until the
// first byte of the request is on its way its errors are dialErrors.
func (x exchange) attempt(ctx context.Context, e endpoint) (*redirect, error) {
	conn, err := x.c.connect(ctx, e, x.req)
	if err != nil {
		return nil, &dialError{fmt.Errorf("connect to %v: %w", e, cause(ctx, err))}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	attendant, attended := x.out.(Attendant)
	if !attended {
		attendant = alone{}
	}

	if err := x.send(conn); err != nil {
		conn.Close()
		return nil, x.judge(ctx, "send to", e, err)
	}
	attendant.Sent()
	x.c.spin(conn)
	target, err := x.receive(conn)
	if err != nil {
		conn.Close()
		return nil, x.judge(ctx, "read the reply of", e, err)
	}
	if target != nil {
		conn.Close()
		return target, nil
	}
	attendant.Done(conn)
	return nil, nil
}

// spinPause is for how many requests nobody looks for an answer after one that
// didn't come while somebody did.
const spinPause = 15

// spin looks for the answer, if that has a chance.
func (c *Client) spin(conn net.Conn) {
	if c.opts.Spin == nil || c.inVain.Load() > 0 && c.inVain.Add(-1) >= 0 {
		return
	}
	if d := c.opts.Spin(); d > 0 && !comes(conn, d) {
		c.inVain.Store(spinPause)
	}
}

// alone is the attendant where there is none.
type alone struct{}

func (alone) Sent()            {}
func (alone) Done(c io.Closer) { _ = c.Close() }

// judge says what a failure after the connect means. A UDP port that refuses
// tells so only now, and nobody has seen the datagram.
func (x exchange) judge(ctx context.Context, deed string, e endpoint, err error) error {
	var out *outputError
	if errors.As(err, &out) {
		return out.err
	}
	wrapped := fmt.Errorf("%s %v: %w", deed, e, cause(ctx, err))
	if x.c.opts.Network == UDP && isRefused(err) && ctx.Err() == nil {
		return &dialError{wrapped}
	}
	return maybeSeen(wrapped)
}

// send writes the request in one piece, which a tmcd relies on: over TLS it
// reads one record, elsewhere it takes tags and command from the first segment.
func (x exchange) send(conn net.Conn) error {
	if last, ok := conn.(interface{ writeLast([]byte) error }); ok {
		return last.writeLast(x.wire)
	}
	if _, err := conn.Write(x.wire); err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && x.c.opts.Network != TLS {
		// An error here means that the peer is gone; reading will tell more.
		_ = half.CloseWrite()
	}
	return nil
}

// connect makes a connection to e on which the request may be written.
func (c *Client) connect(ctx context.Context, e endpoint, req protocol.Request) (net.Conn, error) {
	network, address := c.opts.Network, ""
	switch network {
	case Unix:
		address = e.path
	case UDP:
		address = e.addr.String()
	case TLS:
		network = TCP
	}
	conn, err := c.dial(ctx, network, address, e.addr)
	if err != nil {
		return nil, bare(err)
	}
	if network != TCP || c.opts.Network == TCP && c.opts.Preface == nil {
		return conn, nil
	}
	ready, err := c.prepare(ctx, conn, e, req)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ready, nil
}

// manner is how a TCP connection is made.
type manner struct {
	limit     time.Duration // for connecting; 0: the kernel's
	eager     bool          // small writes are sent at once
	keepAlive bool          // for who waits without a time-out
}

// dial makes a connection without anything on it.
func (c *Client) dial(ctx context.Context, network, address string, addr netip.AddrPort) (net.Conn, error) {
	if network == TCP {
		return dialTCP(ctx, addr, manner{
			limit:     c.opts.DialTimeout,
			eager:     c.opts.Network == TLS || c.opts.Preface != nil,
			keepAlive: c.opts.Timeout == 0,
		})
	}
	dialer := net.Dialer{Timeout: c.opts.DialTimeout}
	return dialer.DialContext(ctx, network, address)
}

// prepare sends what comes before a request over TCP: preface, tag, handshake.
func (c *Client) prepare(ctx context.Context, raw net.Conn, e endpoint, req protocol.Request) (net.Conn, error) {
	limit := c.opts.DialTimeout
	if limit == 0 {
		limit = HandshakeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()

	if c.opts.Preface != nil {
		preface, err := c.opts.Preface(raw, req)
		if err != nil {
			return nil, fmt.Errorf("make preface: %w", err)
		}
		if _, err := raw.Write(preface); err != nil {
			return nil, cause(ctx, err)
		}
	}
	if c.opts.Network != TLS {
		return raw, nil
	}
	conn, err := c.opts.Handshake(ctx, &tagged{Conn: raw}, e.server, e.addr.Addr())
	if err != nil {
		return nil, cause(ctx, err)
	}
	return conn, nil
}

// tagged sends the tag before the first bytes that are written, and with them: a
// server reads exactly the tag first (spec §1).
type tagged struct {
	net.Conn
	sent bool
}

func (t *tagged) Write(p []byte) (int, error) {
	if t.sent {
		return t.Conn.Write(p)
	}
	t.sent = true
	n, err := t.Conn.Write(append([]byte(protocol.TLSTag), p...))
	return max(n-len(protocol.TLSTag), 0), err
}
