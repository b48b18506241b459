package trafgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

// State is where a flow stands (jail.md §6.3).
type State int32

// The states. A sink receives while it waits.
const (
	Idle    State = iota // not set up
	Waiting              // set up, not sending
	Sending
)

// String returns the state's name.
func (s State) String() string { return [...]string{"idle", "waiting", "sending"}[s] }

// react bounds how long an event waits for a flow that blocks in a write.
const react = 50 * time.Millisecond

// Pauses between attempts to connect or bind.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// flow is one record at work: one goroutine (run) owns its socket and state;
// others send it commands and read the meter.
type flow struct {
	rec   protocol.TrafGen
	log   *slog.Logger
	cmds  chan command
	bound chan struct{} // closed at the first set-up
	stop  func()        // ends run; nil before it began
	ended chan struct{} // closed when run has ended
	state atomic.Int32
	meter meter
	rep   reporter
	out   *printed // of the process that carries it; nil: this package does

	// What follows belongs to run.
	params Params
	end    endpoint // nil while there is no connection
	sent   uint64   // packets since base was set
	base   time.Time
	retry  time.Duration
	next   time.Time // of the next attempt to set up
	said   string    // the last trouble that was logged
}

// endpoint is a flow's set-up socket: a source or a sink.
type endpoint interface {
	// send sends up to n packets of p.Size bytes and returns how many went
	// out whole. It gives up after react. A sink sends none.
	send(p Params, n int) (int, error)
	setTOS(tos int) error
	close()
}

// command is an event on its way into run, and where the answer goes.
type command struct {
	e      event.Event
	answer chan error
}

func newFlow(rec protocol.TrafGen, log *slog.Logger) *flow {
	return &flow{rec: rec, log: log.With("trafgen", rec.Name), cmds: make(chan command, 16),
		bound: make(chan struct{}), ended: make(chan struct{}), params: NewParams()}
}

func (f *flow) isSource() bool { return f.rec.Role == "source" }

func (f *flow) setState(s State) { f.state.Store(int32(s)) }

func (f *flow) getState() State { return State(f.state.Load()) }

// run works until ctx ends, then tears the flow down.
func (f *flow) run(ctx context.Context) {
	defer f.teardown()
	if !f.isSource() {
		f.setState(Waiting) // a sink listens before the first START (§6.4.2)
	}
	for ctx.Err() == nil {
		wait := f.step(ctx)
		if wait <= 0 {
			select {
			case c := <-f.cmds:
				c.answer <- f.obey(c.e)
			default:
			}
			continue
		}
		if f.getState() == Sending && f.end != nil && wait <= napLimit {
			nap(max(wait, napLeast))
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case c := <-f.cmds:
			c.answer <- f.obey(c.e)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Below napLimit a wait is slept precisely, but never shorter than napLeast:
// a flow faster than that sends several packets each time it wakes.
const (
	napLimit = 3 * time.Millisecond
	napLeast = 150 * time.Microsecond
)

// forever is the wait of a flow that only an event can wake.
const forever = time.Hour

// step does what is due and returns how long until something is again.
func (f *flow) step(ctx context.Context) time.Duration {
	s := f.getState()
	if s == Idle {
		return forever
	}
	if f.out != nil {
		return f.stepProgram(ctx)
	}
	if f.end == nil {
		if wait := time.Until(f.next); wait > 0 {
			return wait
		}
		if err := f.setup(ctx); err != nil {
			return f.trouble(err)
		}
	}
	if s != Sending || !f.isSource() {
		return forever
	}
	return f.pump()
}

// setup makes the socket. A failure isn't final: the peer may be down, our
// own interface not yet there.
func (f *flow) setup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	end, err := f.open(ctx)
	if err != nil {
		return err
	}
	if err := end.setTOS(f.params.TOS); err != nil {
		end.close()
		return err
	}
	f.end, f.retry, f.said = end, 0, ""
	select {
	case <-f.bound:
	default:
		close(f.bound)
	}
	return nil
}

func (f *flow) open(ctx context.Context) (endpoint, error) {
	switch {
	case f.out != nil:
		return startIperf(f.rec, f.params, f.out)
	case f.isSource():
		return newSource(ctx, f.rec, &f.meter)
	}
	return newSink(ctx, f.rec, &f.meter)
}

// trouble notes an error, drops the connection and says when to try again.
func (f *flow) trouble(err error) time.Duration {
	f.teardown()
	f.meter.change(func(c *counts) { c.errors++ })
	if f.said != err.Error() {
		f.said = err.Error()
		f.log.Warn("trafgen: "+err.Error(), "state", f.getState().String())
	}
	f.retry = min(max(2*f.retry, firstRetry), lastRetry)
	f.next = time.Now().Add(f.retry)
	return f.retry
}

func (f *flow) teardown() {
	if f.end != nil {
		f.end.close()
		f.end = nil
	}
}

// burst bounds packets between two looks at the commands.
const burst = 64

// behind is the backlog after which a flow gives packets up: after a stop of
// the machine or a blocked link, it doesn't send an hour's packets at once.
const behind = time.Second

// pump sends the packets that are due. The n-th packet since base is due at
// base + n·interval: an absolute time, so errors of single sleeps don't add up.
func (f *flow) pump() time.Duration {
	if f.params.Interval == 0 {
		return f.push(burst)
	}
	elapsed := float64(time.Since(f.base))
	due := int64(elapsed/f.params.Interval) + 1 - int64(f.sent)
	if due <= 0 {
		return time.Until(f.due(f.sent))
	}
	if late := float64(due) * f.params.Interval; late > float64(behind) && due > 1 {
		f.rebase(time.Now())
		due = 1
	}
	return f.push(int(min(due, burst)))
}

func (f *flow) due(n uint64) time.Time {
	return f.base.Add(time.Duration(float64(n) * f.params.Interval))
}

func (f *flow) push(n int) time.Duration {
	sent, err := f.end.send(f.params, n)
	f.sent += uint64(sent)
	if err != nil {
		return f.trouble(err)
	}
	return 0
}

// rebase begins the count of packets anew: the next one is due at t.
func (f *flow) rebase(t time.Time) { f.base, f.sent = t, 0 }

// ErrAction is an event that a traffic generator has no use for.
var ErrAction = errors.New("not an action of a traffic generator")

// obey carries one event out. It is quick: what takes time is left to step.
func (f *flow) obey(e event.Event) error {
	if e.Type == event.Time { // START, seen to by Deliver
		return f.use(f.params, Waiting)
	}
	switch e.Action {
	case "START":
		p, err := f.params.Apply(e.Args)
		if err != nil {
			f.setState(Waiting)
			return fmt.Errorf("%s: %w", f.rec.Name, err)
		}
		f.rebase(time.Now())
		return f.use(p, Sending)
	case "STOP":
		return f.use(f.params, Waiting)
	case "MODIFY":
		p, err := f.params.Apply(e.Args)
		if err != nil {
			return fmt.Errorf("%s: %w", f.rec.Name, err)
		}
		// The packet that was due next stays due one interval after the last.
		if f.sent > 0 {
			f.rebase(f.due(f.sent - 1).Add(time.Duration(p.Interval)))
		}
		return f.use(p, f.getState())
	case "RESET":
		f.teardown()
		f.next = time.Time{}
		return f.use(f.params, Waiting)
	}
	return fmt.Errorf("%s: %w", e.Action, ErrAction)
}

// use takes parameters and state over, and tells the socket.
func (f *flow) use(p Params, s State) error {
	tos := p.TOS != f.params.TOS
	if f.out != nil && p != f.params {
		f.teardown() // a process with the new ones comes next
	}
	f.params = p
	f.setState(s)
	if tos && f.end != nil {
		return f.end.setTOS(p.TOS)
	}
	return nil
}

// address joins a record's name or number and port.
func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
