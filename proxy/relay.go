package proxy

import (
	"context"
	"errors"
	"fmt"
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
// seen a byte of the request, whatever happens is the result.
func (s *tmcds) ask(ctx context.Context, req protocol.Request, udp bool, out *answer, patience time.Duration) error {
	giveUp := time.Now().Add(patience)
	for pause := roundMin; ; pause = min(2*pause, roundMax) {
		err := s.round(ctx, req, udp, out)
		if err == nil || !out.mayRetry(ctx, err) {
			return err
		}
		if time.Now().Add(pause).After(giveUp) {
			return fmt.Errorf("%w: %w", errAway, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// round tries each tmcd once.
func (s *tmcds) round(ctx context.Context, req protocol.Request, udp bool, out *answer) (err error) {
	for _, h := range s.inOrder(time.Now()) {
		c := h.tcp
		if udp {
			c = h.udp
		}
		if err = c.Stream(ctx, req, out); err == nil {
			h.good()
			return nil
		}
		if !out.mayRetry(ctx, err) {
			if errors.Is(err, client.ErrMaybeSeen) && out.written == 0 {
				h.bad(time.Now()) // it took the request and said nothing: others first
			}
			return err
		}
		out.failed()
		h.bad(time.Now())
	}
	return err
}

// An answer takes tmcd's reply to the caller.
type answer struct {
	conn    net.Conn
	limit   time.Duration // for one piece
	slow    func()        // called once when the caller is slow
	failed  func()        // called when a tmcd couldn't be reached
	written int64
	err     error // of the caller's side
}

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

// Write gives the caller slowCaller to take p; after that it is slow, and has
// the rest of its limit. A caller that takes a little at a time makes progress,
// and each piece has its own time.
func (a *answer) Write(p []byte) (int, error) {
	n, err := a.attempt(p, min(slowCaller, a.limit))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if a.slow != nil {
			a.slow()
			a.slow = nil
		}
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
