package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"emujail/protocol"
)

var (
	// ErrMaybeSeen marks a failure after which tmcd may have seen, and obeyed,
	// the request or a part of it. Nobody may send it again on the caller's
	// behalf (design decision 5).
	ErrMaybeSeen = errors.New("tmcd may have seen the request, it is not sent again")

	// ErrNoProgress: no byte arrived for the time Options.Timeout.
	ErrNoProgress = errors.New("no progress")

	// ErrTooLarge: the request exceeds what tmcd reads; nothing was sent.
	ErrTooLarge = errors.New("request too large")

	// ErrReplyTooLarge: the reply exceeds Options.MaxReply.
	ErrReplyTooLarge = errors.New("reply too large")

	// ErrRedirect: a redirect that isn't followed: too many hops, a host that
	// isn't allowed, a malformed line, or another vnode's name in it.
	ErrRedirect = errors.New("redirect refused")

	// ErrCut: a TLS connection ended in the middle of a line, or before any
	// byte, without saying so; what arrived is not all.
	ErrCut = errors.New("reply cut short")
)

// describe says, around err, what was asked.
func describe(req protocol.Request, err error) error {
	who := ""
	switch {
	case req.ProxyFor != "":
		who = " for " + req.ProxyFor
	case req.VNodeID != "":
		who = " for " + req.VNodeID
	}
	return fmt.Errorf("ask %s%s: %w", strconv.Quote(req.Command), who, err)
}

// maybeSeen marks err as one after which the request must not be repeated.
func maybeSeen(err error) error { return fmt.Errorf("%w (%w)", err, ErrMaybeSeen) }

// cause prefers the reason why ctx ended to the error that its end brought
// about ("use of closed network connection").
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A dialError is a connection that did not come about: nobody saw a byte.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func isDial(err error) bool {
	var d *dialError
	return errors.As(err, &d)
}

// An outputError is the caller's writer failing, not the exchange.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// bare takes net's own words off err: the caller names deed and address.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err
}
