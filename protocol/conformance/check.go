package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"emujail/protocol"
)

// check is how a rule is judged: what it needs, and what it does. Its error is the
// fault found, or a missingError.
type check struct {
	needs Needs
	run   func(*probe) error
}

// missingError says why a rule can't be judged here.
type missingError string

func (e missingError) Error() string { return string(e) }

func missingf(format string, args ...any) error { return missingError(fmt.Sprintf(format, args...)) }

// check's needs follow from the questions where there are some.
func (q question) needs() Needs {
	n := [...]Needs{0, NeedRemote, NeedFree, NeedStranger}[q.who]
	for i, name := range needNames() {
		if strings.Contains(q.text, "{"+name+"}") {
			n |= 1 << i
		}
	}
	if q.way == overTL {
		n |= NeedTLS
	}
	if writes(q.text) {
		n |= NeedWrite
	}
	return n
}

func needsOf(questions ...question) Needs {
	var n Needs
	for _, q := range questions {
		n |= q.needs()
	}
	return n
}

// answered wants some reply.
func answered(q question) check {
	return check{needsOf(q), func(p *probe) error {
		_, err := p.some(q)
		return err
	}}
}

// some asks and takes silence for a fault, and an answer that can't be read.
func (p *probe) some(q question) (string, error) {
	b, err := p.ask(q)
	if err == nil {
		err = p.answer(q, b)
	}
	return b, err
}

// answer wants a reply that reads as one to the question.
func (p *probe) answer(q question, reply string) error {
	if reply == "" {
		return fmt.Errorf("%v: no answer", q)
	}
	if r, err := protocol.ParseRequest([]byte(p.fill(q.text))); err == nil {
		if _, err := protocol.ParseReply(r.Command, []byte(reply)); err != nil {
			return fmt.Errorf("%v: %w in %s", q, err, quote(reply))
		}
	}
	return nil
}

// says wants one of the replies.
func says(q question, want ...string) check {
	return check{needsOf(q), func(p *probe) error {
		b, err := p.ask(q)
		if err != nil {
			return err
		}
		for _, w := range want {
			if b == p.fill(w) {
				return nil
			}
		}
		return fmt.Errorf("%v: %s, want %q", q, quote(b), p.fill(want[0]))
	}}
}

// same wants the reply of the first, which is some, from all others.
func same(first question, others ...question) check {
	return check{needsOf(append(others, first)...), func(p *probe) error {
		want, err := p.some(first)
		if err != nil {
			return err
		}
		for _, q := range others {
			b, err := p.ask(q)
			if err != nil {
				return err
			}
			if !sameLines(b, want) {
				return fmt.Errorf("%v: %s, but %v: %s", q, quote(b), first, quote(want))
			}
		}
		return nil
	}}
}

// different wants an answer to both, and not the same one.
func different(a, b question) check {
	return check{needsOf(a, b), func(p *probe) error {
		x, err := p.some(a)
		if err != nil {
			return err
		}
		y, err := p.some(b)
		if err == nil && x == y {
			err = fmt.Errorf("%v and %v: both %s", a, b, quote(x))
		}
		return err
	}}
}

// silent wants no byte for the others, where the control is answered.
func silent(control question, others ...question) check {
	return check{needsOf(append(others, control)...), func(p *probe) error {
		if _, err := p.some(control); err != nil {
			return err
		}
		for _, q := range others {
			if err := p.none(q); err != nil {
				return err
			}
		}
		return nil
	}}
}

// none asks and takes an answer for a fault.
func (p *probe) none(q question) error {
	q.mute = true
	b, err := p.ask(q)
	if err == nil && b != "" {
		err = fmt.Errorf("%v: %s, want silence", q, quote(b))
	}
	return err
}

// all wants every check to hold.
func all(checks ...check) check {
	var n Needs
	for _, c := range checks {
		n |= c.needs
	}
	return check{n, func(p *probe) error {
		var faults, missing []error
		for _, c := range checks {
			err := c.run(p)
			if m := missingError(""); errors.As(err, &m) {
				missing = append(missing, err)
			} else {
				faults = append(faults, err)
			}
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
		return errors.Join(missing...)
	}}
}

// quote shortens a reply for a message.
func quote(b string) string {
	if len(b) > 120 {
		return fmt.Sprintf("%q… (%d bytes)", b[:120], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// sameLines compares without the order of lines: much of it is the database's
// (spec §6).
func sameLines(a, b string) bool {
	if a == b {
		return true
	}
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// read parses a reply of a command and renders it again: the same bytes.
func read(command, reply string, version int) (protocol.Reply, error) {
	r, err := protocol.ParseReply(command, []byte(reply))
	if err != nil {
		return nil, fmt.Errorf("%s: %w in %s", command, err, quote(reply))
	}
	if again := string(r.Append(nil, version)); again != reply {
		return r, fmt.Errorf("%s: %s isn't written as the specification says: %s", command, quote(reply), quote(again))
	}
	return r, nil
}
