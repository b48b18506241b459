package proxy

import (
	"errors"
	"net"
	"os"
	"time"
)

// Why a request is refused before its end.
const (
	errHeadTime = refusal("head incomplete after the time for it")
	errBodyTime = refusal("request incomplete after the time for it")
	errEmpty    = refusal("nothing sent")
)

// A reader collects one request from a connection. Where the system allows it
// the last byte stays in the socket until finish: as long as it does, the end
// of the connection for any reason, even the proxy's death, reaches the caller
// as ECONNRESET, never as an end that reads like a valid, empty answer.
type reader struct {
	conn net.Conn
	held held
	now  func() time.Time
}

func newReader(conn net.Conn, now func() time.Time) (*reader, error) {
	h, err := hold(conn)
	if err != nil {
		return nil, err
	}
	return &reader{conn: conn, held: h, now: now}, nil
}

// first waits for the first byte. errEmpty: there was none.
func (r *reader) first(patience time.Duration) error {
	return r.held.first(func() error { return r.conn.SetReadDeadline(r.now().Add(patience)) })
}

// request reads to the end of the request and parses it: to the end of the
// stream, or until nothing came for t.Silence after a complete head. What comes
// later stays unread. Too much, or too slow, is refused whole.
func (r *reader) request(t Deadlines) (request, error) {
	start := r.now()
	headBy, wholeBy := start.Add(t.Head), start.Add(t.Request)
	deadline, complete := headBy, false
	for {
		err := r.held.more(func() error { return r.conn.SetReadDeadline(deadline) })
		now := r.now()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && complete && now.Before(wholeBy):
			return r.end()
		case errors.Is(err, os.ErrDeadlineExceeded) && !complete:
			return request{}, errHeadTime
		case errors.Is(err, os.ErrDeadlineExceeded), now.After(wholeBy):
			return request{}, errBodyTime
		case err != nil:
			return request{}, err
		case len(r.held.data()) > maxRaw:
			return request{}, errTooBig
		case r.held.ended():
			return r.end()
		}
		if !complete {
			if _, complete, err = parse(r.held.data(), false); err != nil {
				return request{}, err
			}
			if !complete && now.After(headBy) {
				return request{}, errHeadTime
			}
		}
		if complete {
			deadline = earlier(now.Add(t.Silence), wholeBy)
		}
	}
}

func (r *reader) end() (request, error) {
	req, _, err := parse(r.held.data(), true)
	return req, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// finish takes the rest out of the socket: from now on its close is a clean end.
func (r *reader) finish() { r.held.finish() }

// release gives the buffer back. The request's args lie in it.
func (r *reader) release() { r.held.release() }
