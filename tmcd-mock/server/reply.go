package server

import (
	"fmt"
	"io"
	"time"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// block is how much of an answer one write deadline covers.
const block = 64 << 10

// has reports whether a kind of trouble has come up.
func (x *exchange) has(k fault.Kind) bool {
	_, ok := x.find(k)
	return ok
}

func (x *exchange) find(k fault.Kind) (fault.Trouble, bool) {
	for _, t := range x.trouble {
		if t.Rule.Kind == k {
			return t, true
		}
	}
	return fault.Trouble{}, false
}

// instead makes the trouble that comes in the place of running the command. It reports whether it did.
func (x *exchange) instead() bool {
	switch {
	case x.has(fault.Refuse):
		x.end(store.Refused, "refused on demand")
	case x.has(fault.Hang):
		t, _ := x.find(fault.Hang)
		x.s.hang(t.Delay)
		x.end(store.Refused, "never answered, on demand")
	case x.has(fault.Redirect), x.has(fault.Loop):
		x.send([]byte("REDIRECT=" + x.target() + "\n"))
	default:
		return false
	}
	return true
}

// target is where a client is sent on demand.
func (x *exchange) target() string {
	if t, ok := x.find(fault.Redirect); ok {
		return t.Rule.To
	}
	return x.s.here(x.conn.LocalAddr())
}

// reply sends an answer, with the trouble that was asked for.
func (x *exchange) reply(data []byte, pauses []answer.Pause) {
	if t, ok := x.find(fault.Delay); ok {
		x.s.pause(t.Delay)
	}
	x.send(spoil(x.trouble, data), pauses...)
}

// spoil is the trouble that changes the bytes, the same for every transport.
func spoil(trouble []fault.Trouble, data []byte) []byte {
	for _, t := range trouble {
		switch t.Rule.Kind {
		case fault.Empty:
			data = nil
		case fault.Garbage:
			n := t.Rule.Bytes
			if n == 0 {
				n = len(data)
			}
			data = make([]byte, min(n, 1<<20))
			if _, err := t.Random().Read(data); err != nil {
				return nil // ChaCha8 doesn't fail
			}
		case fault.Cut, fault.Reset:
			data = data[:min(len(data), t.Rule.Bytes)]
		}
	}
	return data
}

// send writes data and ends the connection in the way asked for.
func (x *exchange) send(data []byte, pauses ...answer.Pause) {
	n, err := x.writeWith(pauses, data)
	x.entry.Sent = n
	switch {
	case err != nil:
		x.end(store.Failed, fmt.Sprintf("write the answer: %v", err))
	case x.has(fault.Reset):
		reset(x.conn)
		x.end(store.Failed, "reset on demand")
	case n == 0:
		x.finish()
		x.end(store.Empty, "")
	default:
		x.finish()
		x.end(store.Answered, "")
	}
}

// finish closes the connection: at once, late, or half.
func (x *exchange) finish() {
	if t, ok := x.find(fault.SlowClose); ok {
		x.s.pause(t.Delay)
	}
	if x.has(fault.HalfClose) {
		if half, ok := x.stream.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			x.s.wait(x.conn)
		}
		return
	}
	// TLS says goodbye (close_notify); an error here means only that the client didn't wait for it.
	_ = x.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_ = x.stream.Close()
}

// writeWith sends data with the pauses that the command makes in it.
func (x *exchange) writeWith(pauses []answer.Pause, data []byte) (int, error) {
	sent := 0
	for _, p := range pauses {
		if p.At > sent && p.At <= len(data) {
			n, err := x.write(data[sent:p.At])
			sent += n
			if err != nil {
				return sent, err
			}
		}
		x.s.pause(p.For)
	}
	n, err := x.write(data[sent:])
	return sent + n, err
}

// write sends data whole, in blocks with a deadline each, or slowly on demand. It returns what was taken.
func (x *exchange) write(data []byte) (int, error) {
	size, gap := block, time.Duration(0)
	if t, ok := x.find(fault.Slice); ok {
		size, gap = max(t.Rule.Bytes, 1), t.Delay
	}
	if t, ok := x.find(fault.Drip); ok {
		size, gap = dripStep(t.Rule.Rate)
	}
	sent := 0
	for sent < len(data) {
		if sent > 0 && gap > 0 {
			x.s.pause(gap)
		}
		if err := x.conn.SetWriteDeadline(time.Now().Add(x.s.o.Limits.Write)); err != nil {
			return sent, err
		}
		n, err := x.stream.Write(data[sent:min(len(data), sent+size)])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// dripStep turns bytes a second into a piece and the pause after it: at most 50 pieces a second.
func dripStep(rate int) (int, time.Duration) {
	size := max(1, rate/50)
	return size, time.Duration(float64(time.Second) * float64(size) / float64(rate))
}

// maxHang is how long a connection is left hanging on demand, if the rule doesn't say.
const maxHang = 10 * time.Minute

// hang does nothing. The client's end isn't waited for: one that closed its writing side, as tmcc does, and
// goes away later sends no sign of it.
func (s *Server) hang(d time.Duration) {
	if d == 0 {
		d = maxHang
	}
	s.pause(d)
}

// wait reads and forgets until the client goes away, the server closes, or maxHang is over.
func (s *Server) wait(c interface {
	io.Reader
	SetReadDeadline(time.Time) error
}) {
	if err := c.SetReadDeadline(time.Now().Add(maxHang)); err != nil {
		return
	}
	// Whatever ends it, the waiting is over.
	_, _ = io.Copy(io.Discard, c)
}

// pause waits, but not beyond Close.
func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}
