// Package client asks a tmcd one question and hands back its whole answer.
//
// It is the road from a protocol.Request to the bytes of a reply: find an
// address, connect, send the request in one piece, read until the end. It
// speaks plain TCP, TLS, UDP and, inside a jail, to the proxy's unix socket.
//
//	c, err := client.New(client.Options{
//		Network: client.Unix, UnixPath: "/run/emulab/tmcc",
//		Identity: protocol.Request{Version: protocol.Version},
//	})
//	status, err := c.Status(ctx)
//
// What it promises: a request of which tmcd may have seen a byte is never sent
// again (ErrMaybeSeen); a redirect is obeyed only when it is the first thing
// in a reply, and only to where Options.Redirect allows; every wait ends with
// the context. A refused connection is different: nobody saw anything, so the
// next port is tried, and then, after a pause, all of them again.
//
// What it doesn't do: look at the answer. Typed calls (Status, Accounts, …)
// leave that to package protocol; the cache of replies is package tmcc/cache.
// TLS is a hook, filled in by tmcc/client/tlsdial, so that a program that needs
// none links none.
//
// See docs/spec/protocol.md §0 (the original client) and §1 (framing), and
// decision 5 of docs/design.md.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"emujail/protocol"
)

// The ways to reach a tmcd; values of Options.Network.
const (
	TCP  = "tcp"  // plain, the write side is shut down after the request
	TLS  = "tls"  // TCP with the tag protocol.TLSTag, then TLS by Options.Handshake
	UDP  = "udp"  // one datagram each way; an empty answer is no datagram at all
	Unix = "unix" // the proxy's socket, Options.UnixPath
)

// Limits and pauses where Options says nothing.
const (
	MaxReply     = 64 << 20         // bytes of a reply that Do accepts
	MaxRedirects = 5                // hops of one request (spec §0)
	RefusedWait  = 10 * time.Second // pause after every port has refused
	UnixWait     = time.Second      // pause after a unix socket was absent or refused
	MaxUnixPath  = 107              // bytes of a unix socket's path
)

// A Server is one boss: its name, for messages and certificates, the addresses
// it is known to have, and the ports to try on each, in order. No ports means
// protocol.DefaultPort, then protocol.SecondPort.
type Server struct {
	Name  string
	Addrs []netip.Addr
	Ports []int
}

// Options say whom to ask, how, and how patiently. Only Network and, by it,
// Servers or UnixPath are needed.
type Options struct {
	Network  string   // TCP, TLS, UDP or Unix
	Servers  []Server // tried in order; not for Unix
	UnixPath string   // for Unix only; at most MaxUnixPath bytes

	// Identity is what the typed calls and Ask put before their command: its
	// tags (Version, VNodeID, …). Command and Args of it are not looked at.
	Identity protocol.Request

	// Handshake turns a connection to addr, whose first bytes go behind the tag,
	// into an authenticated one. Needed for TLS; tlsdial.Dialer has one.
	Handshake func(ctx context.Context, raw net.Conn, to Server, addr netip.Addr) (net.Conn, error)

	// Preface, if not nil, makes bytes to be sent before anything else on a new
	// TCP connection: a PROXY protocol header (design decision 6).
	Preface func(raw net.Conn, req protocol.Request) ([]byte, error)

	// Redirect finds the server that a reply REDIRECT=host names, or refuses.
	// Nil allows only hosts that are, by name or address, among Servers.
	Redirect func(ctx context.Context, host string) (Server, error)

	// Timeout ends a request that makes no progress: it runs from the start of
	// the call, pauses and connecting included, and starts again whenever bytes
	// arrive. Zero: wait for ever, or until the context ends.
	Timeout time.Duration

	// DialTimeout bounds each connect and, apart from that, each handshake.
	// Zero: the kernel's limit for the one, HandshakeTimeout for the other.
	DialTimeout time.Duration

	// Spin, if not nil, says how long to look for the answer of a plain TCP request
	// before sleeping until it comes: to be woken costs as much as a tmcd on the same
	// host takes. It is asked when the request is on its way; after an answer that
	// took longer, not at the next ones.
	Spin func() time.Duration

	// RefusedWait is the pause after all ports refused, before the next round.
	// Zero: 10 s (1 s for Unix). Negative: no next round, the refusal is the
	// result.
	RefusedWait time.Duration

	// MaxReply bounds the bytes that Do returns. Zero: 64 MiB.
	MaxReply int64

	// Logger hears of pauses and redirects at level Debug, pauses at Info the
	// first time. Nil: nobody does.
	Logger *slog.Logger
}

// HandshakeTimeout bounds a TLS handshake when Options.DialTimeout is zero.
const HandshakeTimeout = 60 * time.Second

// A Client asks requests as its Options say. It holds no connection between
// them and may be used by many goroutines at once.
type Client struct {
	opts   Options
	log    *slog.Logger
	inVain atomic.Int32 // for how many requests more Spin isn't asked
}

// New checks o and fills in its defaults.
func New(o Options) (*Client, error) {
	if err := check(o); err != nil {
		return nil, fmt.Errorf("tmcd client: %w", err)
	}
	if o.RefusedWait == 0 {
		o.RefusedWait = RefusedWait
		if o.Network == Unix {
			o.RefusedWait = UnixWait
		}
	}
	if o.MaxReply == 0 {
		o.MaxReply = MaxReply
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Client{opts: o, log: log}, nil
}

func check(o Options) error {
	switch o.Network {
	case Unix:
		return checkUnixPath(o.UnixPath)
	case TLS:
		if o.Handshake == nil {
			return errors.New("network tls needs a Handshake")
		}
	case TCP, UDP:
	default:
		return fmt.Errorf("unknown network %q", o.Network)
	}
	if len(o.Servers) == 0 {
		return errors.New("no server to ask")
	}
	for _, s := range o.Servers {
		if len(s.Addrs) == 0 {
			return fmt.Errorf("server %q has no address", s.Name)
		}
	}
	return nil
}

func checkUnixPath(path string) error {
	if path == "" {
		return errors.New("network unix needs a path")
	}
	if len(path) > MaxUnixPath {
		return fmt.Errorf("socket path of %d bytes, at most %d fit: %s", len(path), MaxUnixPath, path)
	}
	return nil
}

// Do sends req and returns the whole reply, which may rightly be empty: that is
// how tmcd says no. With an error, the bytes that did arrive are returned
// beside it. Errors worth a decision: ErrMaybeSeen, ErrNoProgress, ErrTooLarge,
// ErrReplyTooLarge, ErrRedirect.
func (c *Client) Do(ctx context.Context, req protocol.Request) ([]byte, error) {
	buf := limitedBuffer{left: c.opts.MaxReply}
	err := c.Stream(ctx, req, &buf)
	return buf.Bytes(), err
}

// An Attendant is a writer of Stream's that has more to do than to write.
type Attendant interface {
	// Sent is called when the request is on its way: while tmcd makes its answer
	// there is time.
	Sent()

	// Done takes a connection over whose reply is whole, to close it later.
	Done(io.Closer)
}

// Stream sends req and copies the reply to w as it comes, without a bound on
// its length. Errors are those of Do, and w's own. If w is an Attendant it hears
// of more than the reply.
func (c *Client) Stream(ctx context.Context, req protocol.Request, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := startClock(c.opts.Timeout, cancel)
	defer clock.stop()

	servers := c.opts.Servers
	for range MaxRedirects + 1 {
		wire, err := c.render(req)
		if err != nil {
			return describe(req, err)
		}
		x := exchange{c: c, req: req, wire: wire, out: w, progress: clock.renew}
		target, err := x.run(ctx, servers)
		if err != nil {
			return describe(req, err)
		}
		if target == nil {
			return nil
		}
		if servers, req, err = c.follow(ctx, *target, req); err != nil {
			return describe(req, err)
		}
	}
	return describe(req, fmt.Errorf("%w: more than %d hops", ErrRedirect, MaxRedirects))
}

// render returns the bytes of req, if they may be sent at all: what doesn't fit
// would be cut by the server and executed all the same (spec §1).
func (c *Client) render(req protocol.Request) ([]byte, error) {
	limit := protocol.MaxRequest
	switch c.opts.Network {
	case TLS:
		limit = protocol.MaxRequestTLS
	case UDP:
		limit = protocol.MaxUDPRequest
	}
	wire := req.Append(nil)
	if len(wire) > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d over %s", ErrTooLarge, len(wire), limit, c.opts.Network)
	}
	return wire, nil
}

// limitedBuffer keeps what is written to it, up to a number of bytes.
type limitedBuffer struct {
	bytes.Buffer
	left int64
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, ErrReplyTooLarge
	}
	b.left -= int64(len(p))
	return b.Buffer.Write(p)
}

// clock ends a request that makes no progress.
type clock struct {
	timer *time.Timer
	limit time.Duration
}

func startClock(limit time.Duration, cancel context.CancelCauseFunc) clock {
	if limit <= 0 {
		return clock{}
	}
	expired := func() { cancel(fmt.Errorf("%w for %v", ErrNoProgress, limit)) }
	return clock{timer: time.AfterFunc(limit, expired), limit: limit}
}

func (c clock) renew() {
	if c.timer != nil {
		c.timer.Reset(c.limit)
	}
}

func (c clock) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
}
