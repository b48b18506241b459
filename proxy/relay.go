package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// slowCaller is how long a caller may take to accept a piece of its answer
// before its request gives its place at tmcd to another one.
const slowCaller = 250 * time.Millisecond

// Pauses between rounds in which no tmcd could be reached.
const (
	roundMin = 100 * time.Millisecond
	roundMax = 2 * time.Second
)

// errAway: nobody saw a byte of the request.
var errAway = errors.New("no tmcd could be reached")

// ask sends req to a tmcd and brings the answer to out. As long as no tmcd can
// be reached it tries them all again, until patience ends; once one may have
// seen a byte of the request, whatever happens is the result. turn waits for a
// place at tmcd, which is held for a round only, not while tmcd is away.
func (s *tmcds) ask(ctx context.Context, q question, out *answer, turn func() (leave func(), err error)) error {
	giveUp := s.now().Add(q.patience)
	for pause := roundMin; ; pause = min(2*pause, roundMax) {
		leave, err := turn()
		if err != nil {
			return err
		}
		out.leave = leave
		err = s.round(ctx, q, out)
		leave()
		if err == nil || !out.mayRetry(ctx, err) {
			return err
		}
		if s.now().Add(pause).After(giveUp) {
			return fmt.Errorf("%w: %w", errAway, err)
		}
		if !wait(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// A question is what goes to tmcd, and how.
type question struct {
	req      protocol.Request
	udp      bool
	patience time.Duration // with tmcds that can't be reached
}

// round tries each tmcd once.
func (s *tmcds) round(ctx context.Context, q question, out *answer) (err error) {
	for _, h := range s.inOrder(s.now()) {
		c := h.tcp
		if q.udp {
			c = h.udp
		}
		if err = c.Stream(ctx, q.req, out); err == nil {
			h.good()
			return nil
		}
		if !out.mayRetry(ctx, err) {
			if errors.Is(err, client.ErrMaybeSeen) && out.written == 0 && !q.udp {
				h.bad(s.now()) // it took the request and broke down; over UDP silence is an answer
			}
			return err
		}
		out.failed()
		h.bad(s.now())
	}
	return err
}

// An answer takes tmcd's reply to the caller.
type answer struct {
	conn    net.Conn
	limit   time.Duration // for one piece
	leave   func()        // gives the place at tmcd back; may be called more than once
	failed  func()        // called when a tmcd couldn't be reached
	sent    func()        // called when a request is on its way
	tmcd    io.Closer     // the connection that brought the whole answer
	written int64
	err     error // of the caller's side
}

// Sent implements client.Attendant.
func (a *answer) Sent() { a.sent() }

// Done implements client.Attendant.
func (a *answer) Done(c io.Closer) { a.tmcd = c }

// mayRetry reports whether err says that nobody saw a byte of the request.
func (a *answer) mayRetry(ctx context.Context, err error) bool {
	if ctx.Err() != nil || a.err != nil || a.written > 0 {
		return false
	}
	for _, final := range []error{client.ErrMaybeSeen, client.ErrRedirect, client.ErrTooLarge, client.ErrNoProgress} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// Write gives what the caller's socket takes at once, and the rest as the
// caller reads. It gives the caller slowCaller to take p; after that it is slow, and has
// the rest of its limit. A caller that takes a little at a time makes progress,
// and each piece has its own time.
func (a *answer) Write(p []byte) (int, error) {
	n := sendNow(a.conn, p)
	a.written += int64(n)
	if n == len(p) {
		return n, nil
	}
	rest, err := a.attempt(p[n:], min(slowCaller, a.limit))
	n += rest
	if errors.Is(err, os.ErrDeadlineExceeded) {
		a.leave()
		var more int
		more, err = a.attempt(p[n:], a.limit)
		n += more
	}
	if err != nil {
		a.err = err
	}
	return n, err
}

func (a *answer) attempt(p []byte, limit time.Duration) (int, error) {
	if err := a.conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	n, err := a.conn.Write(p)
	a.written += int64(n)
	return n, err
}
