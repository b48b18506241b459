package conformance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"emujail/protocol"
)

// nodeid is the request that most rows vary: it changes nothing, and every node
// gets an answer. With VERSION=40 and without the last space it has 17 bytes, the
// size of the server's first read.
const nodeid = "VERSION=40 nodeid "

// Times of the original, with room for a busy machine.
const (
	readTime = 3 * time.Second        // READTIMO: a silent client is waited for so long
	soon     = 2 * time.Second        // an answer that waits for nothing
	latest   = 8 * time.Second        // an answer after readTime
	segment  = 200 * time.Millisecond // between two pieces, so that they arrive as two
)

func framingRows() []Row {
	q := host(nodeid)
	return []Row{
		{ID: "1/1", Rule: "one request a connection: the server answers and closes", check: once()},
		{ID: "1/2", Rule: "a request longer than the first read of 17 bytes is read whole from one segment",
			check: same(q, host("VERSION=40 nodeid "+strings.Repeat("x", 1000)))},
		{ID: "1/3", Rule: "a request of exactly 17 bytes is answered", check: same(q, host("VERSION=40 nodeid"))},
		{ID: "1/4", Rule: "a request shorter than 17 bytes is answered", check: same(q, host("nodeid "))},
		{ID: "1/5", Rule: "a command that the first segment cuts is unknown: the head comes in one write",
			check: pieces(silentPieces, step{"VERSION=40 nodei", segment}, step{"d ", 0})},
		{ID: "1/6", Rule: "VERSION ≥ 22: arguments may come later, in any pieces",
			check: pieces(samePieces, step{nodeid, segment}, step{"a", segment}, step{"b c", segment}, step{"\n", 0})},
		{ID: "1/7", Rule: "VERSION ≥ 22: the answer waits for the request's end, then comes at once", check: waitsForEnd()},
		{ID: "1/8", Rule: "VERSION ≥ 22: a client that never ends its request is answered after 3 s",
			check: timed(host("VERSION=22 nodeid "), true, readTime-time.Second, latest)},
		{ID: "1/9", Rule: "VERSION ≤ 21: the answer doesn't wait for the request's end",
			check: timed(host("VERSION=21 nodeid "), true, 0, soon)},
		{ID: "1/10", Rule: "without VERSION the answer doesn't wait for the request's end", check: timed(host("nodeid "), true, 0, soon)},
		{ID: "1/11", Rule: "a connection that says nothing is closed after 3 s, without a byte", check: closedAfter("", true, readTime-time.Second, latest)},
		{ID: "1/12", Rule: "a connection that ends at once is closed without a byte", check: closedAfter("", false, 0, soon)},
		{ID: "1/13", Rule: "a request of 32,768 bytes is read whole",
			check: pieces(samePieces, step{nodeid, segment}, step{strings.Repeat("x", protocol.MaxRequest-len(nodeid)), 0})},
		{ID: "1/14", Rule: "an unknown command gets silence and a clean close, no error text", check: silent(q, host("VERSION=40 nosuchcommand "))},
		{ID: "1/15", Rule: "a second request on a connection is not answered",
			check: pieces(samePieces, step{nodeid, segment}, step{"\nVERSION=40 status ", 0})},
		{ID: "1/16", Rule: "idle connections don't keep others waiting", check: besideIdle(4)},
		{ID: "1/17", Rule: "a client that goes away in the middle disturbs nobody", check: afterAbort()},
		{ID: "1/18", Rule: "a reply is whole lines: its last byte is a line end", check: lineEnds()},
		{ID: "1/19", Rule: "a client that reads late gets the whole reply", check: lateReader()},
		{ID: "1/20", Rule: "a reply in pieces with seconds between them is one reply (tmcctest splitreply)", check: splitReply()},
		{ID: "1/21", Rule: "a reply may take its time (tmcctest delayreply)",
			check: says(host("VERSION=40 tmcctest delayreply 1 "), "replied after 1 seconds\n")},
	}
}

// once wants an answer and a close after it, by the server: the client's writing
// side stays open.
func once() check { return timed(host("VERSION=21 nodeid "), true, 0, soon) }

// timed wants an answer within bounds after the last byte.
func timed(q question, open bool, least, most time.Duration) check {
	return check{q.needs(), func(p *probe) error {
		s, err := p.converse(q, open, step{send: q.text})
		if err != nil {
			return err
		}
		return errors.Join(p.answer(q, s.text), within(q, s.took, least, most))
	}}
}

func within(q question, took, least, most time.Duration) error {
	if took < least || took > most {
		return fmt.Errorf("%v: the connection ended after %.1f s, want from %.1f to %.1f s",
			q, took.Seconds(), least.Seconds(), most.Seconds())
	}
	return nil
}

// pieces sends a request in pieces and judges what comes back beside the answer to
// nodeid in one piece.
func pieces(judge func(want string, got said) error, steps ...step) check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		want, err := p.some(q)
		if err != nil {
			return err
		}
		s, err := p.converse(q, false, steps...)
		if err != nil {
			return err
		}
		return judge(want, s)
	}}
}

func samePieces(want string, got said) error {
	if got.text != want {
		return fmt.Errorf("in pieces: %s, in one: %s", quote(got.text), quote(want))
	}
	return nil
}

func silentPieces(_ string, got said) error {
	if got.text != "" {
		return fmt.Errorf("%s, want silence", quote(got.text))
	}
	return nil
}

// waitsForEnd leaves a request open for a second: nothing may come before its end.
func waitsForEnd() check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		c, err := p.dial(q)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, nodeid); err != nil {
			return err
		}
		if err := early(c, time.Second); err != nil {
			return fmt.Errorf("%v: %w", q, err)
		}
		ended := time.Now()
		if err := errors.Join(p.renew(c), c.CloseWrite()); err != nil {
			return err
		}
		s, err := p.hear(c)
		if err != nil {
			return err
		}
		return errors.Join(p.answer(q, s.text), within(q, time.Since(ended), 0, soon))
	}}
}

// early wants nothing to come for a while.
func early(c net.Conn, d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	switch n, err := c.Read(make([]byte, 1)); {
	case n > 0:
		return errors.New("an answer before the request's end")
	case errors.Is(err, io.EOF):
		return errors.New("closed before the request's end")
	}
	return nil
}

// renew gives a connection the row's deadline again.
func (p *probe) renew(c net.Conn) error {
	deadline, _ := p.ctx.Deadline()
	return c.SetDeadline(deadline)
}

// closedAfter wants an end without a byte, within bounds.
func closedAfter(text string, open bool, least, most time.Duration) check {
	return check{0, func(p *probe) error {
		q := host(text)
		if _, err := p.some(host(nodeid)); err != nil {
			return err
		}
		s, err := p.converse(q, open, step{send: text})
		if err != nil {
			return err
		}
		return errors.Join(silentPieces("", s), within(q, s.took, least, most))
	}}
}

// besideIdle opens connections that say nothing and asks beside them.
func besideIdle(n int) check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		for range n {
			c, err := p.dial(q)
			if err != nil {
				return err
			}
			defer c.Close()
		}
		begun := time.Now()
		if _, err := p.some(q); err != nil {
			return err
		}
		return within(q, time.Since(begun), 0, soon)
	}}
}

// afterAbort resets a connection with half a request on it.
func afterAbort() check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		for range 3 {
			c, err := p.dial(q)
			if err != nil {
				return err
			}
			_, err = io.WriteString(c, nodeid)
			if err := errors.Join(err, c.SetLinger(0), c.Close()); err != nil {
				return err
			}
		}
		_, err := p.some(q)
		return err
	}}
}

func lineEnds() check {
	return check{0, func(p *probe) error {
		if _, err := p.some(host(nodeid)); err != nil {
			return err
		}
		for _, command := range []string{"nodeid", "status", "creator", "hostnames", "routing", "watchdoginfo"} {
			b, err := p.ask(host("VERSION=40 " + command + " "))
			if err != nil {
				return err
			}
			if b != "" && !strings.HasSuffix(b, "\n") {
				return fmt.Errorf("%s: %s has no line end", command, quote(b))
			}
		}
		return nil
	}}
}

// lateReader lets an answer lie for a second.
func lateReader() check {
	return check{0, func(p *probe) error {
		q := host("VERSION=40 hostnames ")
		want, err := p.ask(q)
		if err != nil {
			return err
		}
		if want == "" {
			q = host(nodeid)
			if want, err = p.some(q); err != nil {
				return err
			}
		}
		s, err := p.converse(q, false, step{q.text, 0}, step{"", time.Second})
		if err != nil {
			return err
		}
		return samePieces(want, s)
	}}
}

// splitReply asks for the original's own test of clients: four times 512 bytes,
// seven seconds in all.
func splitReply() check {
	return check{0, func(p *probe) error {
		s, err := p.converse(host(""), false, step{send: "VERSION=40 tmcctest splitreply "})
		if err != nil {
			return err
		}
		want := strings.Repeat("1", 512) + strings.Repeat("2", 512) + strings.Repeat("4", 512) + strings.Repeat("0", 511) + "\n"
		if s.text != want {
			return fmt.Errorf("tmcctest splitreply: %s, want 512 each of 1, 2, 4 and 0", quote(s.text))
		}
		return within(host("VERSION=40 tmcctest splitreply "), s.took, 4*time.Second, 12*time.Second)
	}}
}
