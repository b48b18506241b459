// Package trafgen sends and receives constant streams of packets, as Emulab's
// traffic generators do: many in one process, each a record of `tmcc trafgens`,
// steered by events.
//
//	set, err := trafgen.New(records, trafgen.Options{LogDir: "/local/logs"})
//	go set.Run(ctx)                                   // sinks listen, sources wait
//	err = set.Deliver(event.Event{Object: "cbr0", Action: "START", Args: "RATE=1000 PACKETSIZE=500"})
//
// A flow is idle, waiting or sending. START, STOP, MODIFY and RESET act on the
// flow that the event names; their arguments (Params) hold all or not at all.
// Sources connect when they are first needed and again when the connection
// breaks, so either end may come first and be rebooted. Packets are due at
// absolute times: the bytes over some seconds are right, whatever a single
// sleep did. An event is obeyed within 100 ms, also when the link is blocked.
//
// Each second in which something happened becomes a line of JSON in
// LogDir/NAME.json (type Line): sent, received, lost, reordered, jitter, in this
// second and in all. What was lost is known from sequence numbers in the
// packets (packet.go); streams of other programs are counted only.
//
// A record whose GENERATOR is another than TG is iperf3's (iperf_linux.go): the
// same events start, change and stop that program, whose words go to
// LogDir/NAME.iperf3.
//
// The package obeys whoever calls Deliver: keys and experiments are checked
// before, by event.Guard. See docs/spec/jail.md §6.
package trafgen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

// Options say where a Set logs. The zero value logs nowhere.
type Options struct {
	LogDir string        // for NAME.json; empty: no such logs
	Logger *slog.Logger  // for trouble; nil: none
	Period time.Duration // between lines; 0: a second
}

// Set is the traffic generators of one node. Its methods may be called from
// any goroutine.
type Set struct {
	opt Options

	mu      sync.Mutex
	flows   []*flow
	ctx     context.Context // of Run, nil before it
	work    sync.WaitGroup  // the flows that run
	changed chan struct{}   // the flows are others
}

// Status is what a flow is doing now.
type Status struct {
	Name, Role, Proto string
	State             State
	Total             Numbers
}

// Errors of Deliver that aren't about arguments.
var (
	ErrObject  = errors.New("no such traffic generator here")
	ErrStopped = errors.New("the traffic generators have stopped")
)

// New makes the flows of the records, but for those of [Nobody]'s. A record that
// can't be one is in the error, and the others still work.
func New(recs []protocol.TrafGen, o Options) (*Set, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Period == 0 {
		o.Period = time.Second
	}
	s := &Set{opt: o, changed: make(chan struct{}, 1)}
	return s, s.Update(recs)
}

// Update makes the set that of other records. Flows whose record is the same
// go on undisturbed; the others are torn down or begin. The error is as New's.
func (s *Set) Update(recs []protocol.TrafGen) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	var next []*flow
	for _, r := range recs {
		if KindOf(r) == Nobody {
			continue
		}
		if err := check(r); err != nil {
			errs = append(errs, fmt.Errorf("traffic generator %q: %w", r.Name, err))
			continue
		}
		r.Extra = nil // not ours to compare
		if i := slices.IndexFunc(s.flows, func(f *flow) bool { return reflect.DeepEqual(f.rec, r) }); i >= 0 {
			next = append(next, s.flows[i])
			s.flows = slices.Delete(s.flows, i, i+1)
			continue
		}
		next = append(next, s.newFlow(r))
	}
	s.end(s.flows) // first: a new flow may want an old one's port
	s.flows = next
	select {
	case s.changed <- struct{}{}:
	default: // it is still to be seen
	}
	if s.ctx != nil {
		s.startAll()
	}
	return errors.Join(errs...)
}

func (s *Set) newFlow(r protocol.TrafGen) *flow {
	f := newFlow(r, s.opt.Logger)
	f.rep = reporter{name: r.Name, role: r.Role}
	if s.opt.LogDir != "" {
		f.rep.path = filepath.Join(s.opt.LogDir, r.Name+".json")
	}
	if KindOf(r) == Program {
		f.out = &printed{}
		if s.opt.LogDir != "" {
			f.out.log.path = filepath.Join(s.opt.LogDir, r.Name+"."+iperfProgram)
		}
	}
	return f
}

// startAll runs the flows that don't yet.
func (s *Set) startAll() {
	for _, f := range s.flows {
		if f.stop != nil || s.ctx.Err() != nil {
			continue
		}
		ctx, stop := context.WithCancel(s.ctx)
		f.stop = stop
		f.rep.at = time.Now()
		s.work.Go(func() {
			defer close(f.ended)
			f.run(ctx)
		})
	}
}

// end tears flows down, waits for it, and writes their last lines.
func (s *Set) end(flows []*flow) {
	for _, f := range flows {
		if f.stop != nil {
			f.stop()
		}
	}
	for _, f := range flows {
		if f.stop != nil {
			<-f.ended
		}
		f.report(time.Now())
		err := f.rep.close()
		if f.out != nil {
			err = errors.Join(err, f.out.close())
		}
		if err != nil {
			f.log.Warn("trafgen: " + err.Error())
		}
	}
}

// check holds a record against what jail.md §6.1 allows.
func check(r protocol.TrafGen) error {
	bad := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	switch {
	case r.Name == "" || strings.ContainsFunc(r.Name, bad) || strings.HasPrefix(r.Name, "."):
		return errors.New("name: want [-A-Za-z0-9_.]")
	case r.Proto != "udp" && r.Proto != "tcp":
		return fmt.Errorf("protocol %q: want udp or tcp", r.Proto)
	case r.Role != "source" && r.Role != "sink":
		return fmt.Errorf("role %q: want source or sink", r.Role)
	}
	return nil
}

// Len returns the number of flows.
func (s *Set) Len() int { return len(s.all()) }

func (s *Set) all() []*flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.flows)
}

// Run works until ctx ends and all flows are torn down. It's called once.
func (s *Set) Run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.startAll()
	s.mu.Unlock()
	s.report(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(s.flows)
	s.work.Wait()
}

// report writes all flows' lines each period. Without flows it waits for some,
// and wakes no processor: most jails have none.
func (s *Set) report(ctx context.Context) {
	tick := time.NewTicker(s.opt.Period)
	defer tick.Stop()
	for {
		if len(s.all()) == 0 {
			tick.Stop()
			select {
			case <-ctx.Done():
				return
			case <-s.changed:
			}
			tick.Reset(s.opt.Period)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.mu.Lock() // against end, which closes the logs
			for _, f := range s.flows {
				f.report(now)
			}
			s.mu.Unlock()
		}
	}
}

func (f *flow) report(now time.Time) {
	if err := f.rep.report(now, f.getState(), f.meter.read()); err != nil {
		f.log.Warn("trafgen: "+err.Error(), "log", f.rep.path)
	}
}

// Deliver hands an event to the flow it names, and returns what came of it.
// The start of time (type TIME, action START) goes to all: they set up.
func (s *Set) Deliver(ctx context.Context, e event.Event) error {
	if e.Type == event.Time {
		return s.startOfTime(ctx, e)
	}
	for _, f := range s.all() {
		if f.rec.Name == e.Object {
			return f.deliver(ctx, e)
		}
	}
	return fmt.Errorf("%s: %w", e.Object, ErrObject)
}

func (s *Set) startOfTime(ctx context.Context, e event.Event) error {
	if e.Action != "START" {
		return nil
	}
	var errs []error
	for _, f := range s.all() {
		e.Object = f.rec.Name
		errs = append(errs, f.deliver(ctx, e))
	}
	return errors.Join(errs...)
}

// deliver waits for the flow's answer, at most as long as ctx lasts.
func (f *flow) deliver(ctx context.Context, e event.Event) error {
	c := command{e, make(chan error, 1)}
	select {
	case f.cmds <- c:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", e.Object, ErrStopped)
	}
	select {
	case err := <-c.answer:
		return err
	case <-f.ended:
		return fmt.Errorf("%s: %w", e.Object, ErrStopped)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", e.Object, ErrStopped)
	}
}

// Status returns what each flow does, sorted by name.
func (s *Set) Status() []Status {
	var all []Status
	for _, f := range s.all() {
		all = append(all, Status{f.rec.Name, f.rec.Role, f.rec.Proto, f.getState(), numbers(f.meter.read())})
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Bound returns when all sinks listen, or an error that names one that doesn't
// when ctx ends.
func (s *Set) Bound(ctx context.Context) error {
	for _, f := range s.all() {
		if f.isSource() {
			continue
		}
		select {
		case <-f.bound:
		case <-ctx.Done():
			return fmt.Errorf("sink %s doesn't listen yet", f.rec.Name)
		}
	}
	return nil
}
