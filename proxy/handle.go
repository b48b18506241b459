package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"emujail/tmcc/client"
)

// A refusal is a reason why tmcd doesn't hear of a request.
type refusal string

func (r refusal) Error() string { return string(r) }

// A visit is what is known of one request on its way.
type visit struct {
	jail  *jail
	r     *reader
	who   witness
	line  Line
	start time.Time
	tmcd  io.Closer // the connection that has brought the whole answer; nil: none
}

// handle is one connection's life: one request, its answer or a reset, one
// audit line. Whoever said nothing gets no line. The caller's end comes before
// tmcd's: it waits for it.
func (s *server) handle(w job) {
	j, conn, place := w.jail, w.conn, w.place
	defer j.done.Done()
	defer func() {
		if place.leave() {
			s.open.Add(-1)
		}
	}()
	v := visit{jail: j, start: w.start, line: Line{Time: w.start.UTC(), VNode: j.vnode}} // zones are files
	defer func() { s.spent.add(v.tmcd) }()
	defer conn.Close()
	cut := context.AfterFunc(j.alive, func() { _ = conn.Close() })
	defer cut()

	r, err := newReader(conn, s.o.now)
	if err != nil {
		s.log.Warn("connection can't be read", "vnode", j.vnode, "error", err)
		return
	}
	defer r.release()
	if err := r.first(s.o.Deadlines.Idle); err != nil || !place.speaks() {
		return
	}
	v.r = r
	err = s.serve(&v)
	if err == nil {
		r.finish()
	}
	s.account(&v, err) // before the caller sees the end, and may look
}

// serve is the way of one request, step by step (docs/design.md §1). No step
// looks back at an earlier one.
func (s *server) serve(v *visit) error {
	j, line := v.jail, &v.line
	leave, err := s.turn(j)
	if err != nil {
		return err
	}
	defer leave()
	s.procs.see(s.o.now(), s.active.Add(1))
	defer s.active.Add(-1)

	v.who, err = s.attestor.identify(v.r.conn, j.home)
	defer s.attestor.release(&v.who)
	if err != nil {
		j.counts.strangers.Add(1)
		line.Why = err.Error()
		if j.mode == enforce {
			return err
		}
	}
	req, err := v.r.request(s.o.Deadlines)
	line.Command, line.Stripped = req.command, req.stripped
	j.counts.spoofs.Add(uint64(req.spoofs))
	if err != nil {
		return err
	}
	j.counts.requests.Add(1)
	if err := j.rules.Load().check(req); err != nil {
		return err
	}
	return s.relay(v, req)
}

// turn waits until the jail may have one more request: among those at once,
// those of this second, and with its bytes paid. A burst is for who is alone:
// while others ask, what a jail asks at once is spread out, so that they find
// the processors free. leave gives the place back.
func (s *server) turn(j *jail) (leave func(), err error) {
	patience := s.o.Deadlines.Turn
	if !j.takeSlot(patience) {
		return nil, errTurn
	}
	leave = func() {
		j.counts.active.Add(-1)
		<-j.slots
	}
	more := j.counts.active.Add(1) > 1
	now := s.o.now()
	pause, ok := j.rate.reserve(now, 1, patience)
	debt, paid := j.bytes.reserve(now, 0, patience)
	if !ok || !paid {
		leave()
		return nil, errRate
	}
	if s.neighbours.shared(j, now) && more {
		pause = max(pause, j.rate.pace(now))
	}
	if pause = max(pause, debt); pause > 0 && !wait(j.alive, pause) {
		leave()
		return nil, errRate
	}
	return leave, nil
}

// takeSlot becomes one of the jail's requests at once.
func (j *jail) takeSlot(patience time.Duration) bool {
	select {
	case j.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case j.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-j.alive.Done():
	}
	return false
}

// wait sleeps; false if ctx ended before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// relay asks tmcd in the jail's name and brings the answer to the caller. The
// caller is asked for its name while tmcd makes its answer.
func (s *server) relay(v *visit, req request) error {
	tmcd := s.tmcd.Load()
	if tmcd == nil {
		return errAway
	}
	j := v.jail
	out := &answer{
		conn: v.r.conn, limit: s.o.Deadlines.Write,
		leave: func() {}, failed: func() { s.tmcdErrors.Add(1) },
	}
	out.sent = func() {
		s.attestor.release(&v.who)
		if req.useUDP { // an empty answer never comes: two jails that wait for one would hold all places
			out.leave()
		}
	}
	defer func() { v.line.ReplyBytes, v.tmcd = out.written, out.tmcd }()
	if req.command == bossinfo {
		_, err := out.Write(tmcd.bossinfo())
		return err
	}
	q := question{req: req.stamp(j.vnode, tmcd.PrivKey), udp: req.useUDP, patience: s.o.Deadlines.Tmcd}
	return tmcd.ask(j.alive, q, out, func() (func(), error) { return s.passGate(j) })
}

// passGate waits for a place at tmcd. A slow caller gives it away before the
// end: others wait for tmcd, not for this caller.
func (s *server) passGate(j *jail) (leave func(), err error) {
	if err := s.gate.pass(j.alive, &j.queue, s.o.Deadlines.Turn); err != nil {
		return nil, err
	}
	return sync.OnceFunc(s.gate.leave), nil
}

// account counts the request and writes its line.
func (s *server) account(v *visit, err error) {
	j, line := v.jail, &v.line
	line.Peer = v.who.Peer
	line.Outcome = outcomeOf(err)
	if err != nil {
		line.Why = err.Error()
	}
	line.RequestBytes = int64(len(v.r.held.data()))
	now := s.o.now()
	spent := now.Sub(v.start) // not by the line's time: that is the wall clock's, which may jump
	line.Millis = float64(spent.Microseconds()) / 1000
	j.bytes.charge(now, float64(line.RequestBytes+line.ReplyBytes))
	j.counts.add(line, spent)
	s.audit.add(*line)
}

func outcomeOf(err error) string {
	var r refusal
	switch {
	case err == nil:
		return outcomeOK
	case errors.As(err, &r), errors.Is(err, client.ErrTooLarge):
		return outcomeRefused
	}
	return outcomeError
}
