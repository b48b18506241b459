package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"emujail/proxy/control"
)

// A server is all of one running proxy.
type server struct {
	o          Options
	log        *slog.Logger
	attestor   *attestor
	audit      *audit
	limits     atomic.Pointer[Limits]
	gate       gate
	neighbours neighbours
	workers    workers
	spent      spent
	procs      *procs
	tmcd       atomic.Pointer[tmcds] // nil until somebody said whom to ask
	boss       atomic.Pointer[control.Conn]
	signatures *control.Signatures
	leave      func() // ends the conversation with the supervisor after draining; may be nil

	open, active                        atomic.Int64
	acceptErrors, tmcdErrors, redirects atomic.Uint64

	life context.Context // ends when connections are cut, not when draining

	mu     sync.Mutex
	jails  map[string]*jail
	ending map[*jail]bool // taken out of jails, and not over yet
}

// Serve answers requests until ctx ends or the supervisor says so; then it
// accepts nothing new and gives those under way Deadlines.Drain. The error is
// about beginning, or nil: no request ends it. It changes the process's GOMAXPROCS
// (see procs).
func Serve(ctx context.Context, o Options) error {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s, err := newServer(life, o)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	return s.live(ctx, cut)
}

func (s *server) live(ctx context.Context, cut context.CancelFunc) error {
	err := s.run(ctx)
	s.drain(cut)
	if s.leave != nil {
		s.leave()
	}
	s.workers.end()
	s.spent.close()
	s.attestor.proc.Close() // nil is fine
	return errors.Join(err, s.audit.stop())
}

func newServer(life context.Context, o Options) (*server, error) {
	o.Deadlines = o.Deadlines.withDefaults()
	if o.now == nil {
		o.now = time.Now
	}
	s := &server{o: o, log: o.Logger, life: life, jails: make(map[string]*jail), ending: make(map[*jail]bool), procs: newProcs()}
	s.workers = workers{work: s.handle, idle: make(chan job)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.useLimits(o.Limits)
	s.signatures = control.NewSignatures(s.sendBoss)
	s.attestor = &attestor{fallback: func(err error) {
		s.log.Warn("callers are recognized by /proc: not as sure as by pidfd", "cause", err)
	}}
	if len(o.Tmcd.Servers) > 0 {
		if err := s.useTmcd(o.Tmcd); err != nil {
			return nil, err
		}
	}
	s.audit = startAudit(o.Audit, s.auditFull)
	return s, nil
}

// useLimits changes the limits, under way as well.
func (s *server) useLimits(l Limits) {
	l = limitsOf(l)
	before := 0
	if old := s.limits.Swap(&l); old != nil {
		before = old.Pool
	}
	s.gate.resize(l.Pool - before)
}

// spinTime is how long one request may keep the processor while tmcd answers.
const spinTime = 400 * time.Microsecond

// spin is for a request that has the proxy for itself: with others, to do their
// work is the better way to wait.
func (s *server) spin() time.Duration {
	if s.active.Load() > 1 {
		return 0
	}
	return spinTime
}

func (s *server) useTmcd(t Tmcd) error {
	tmcds, err := newTmcds(t, s.o.Deadlines, func() { s.redirects.Add(1) }, s.spin)
	if err != nil {
		return err
	}
	tmcds.now = s.o.now
	s.tmcd.Store(tmcds)
	return nil
}

// run opens what Options name, gives its rights away and waits for the end.
func (s *server) run(ctx context.Context) error {
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	if s.attestor.proc, err = s.confine(); err != nil {
		return errors.Join(err, closeListeners(listeners))
	}
	for i, l := range listeners {
		if err := s.add(control.VNode{VNode: l.VNode, Rules: s.o.Rules}, l.Socket); err != nil {
			return errors.Join(err, closeListeners(listeners[i:]))
		}
	}
	if s.o.Control != nil {
		return s.obey(ctx, s.o.Control)
	}
	if len(listeners) == 0 {
		return errors.New("no socket to listen at")
	}
	s.log.Warn("no supervisor: callers aren't held against a cgroup")
	<-ctx.Done()
	return nil
}

// confine returns /proc, as far as it stays in reach.
func (s *server) confine() (proc *os.File, err error) {
	if s.o.Confine != nil {
		return s.o.Confine()
	}
	proc, err = os.Open("/proc")
	if err != nil {
		return nil, nil // the audit log shows callers without names
	}
	return proc, nil
}

// add takes a jail in and begins to accept. A name that is there already stays
// whose it is.
func (s *server) add(v control.VNode, ln net.Listener) error {
	j, err := newJail(s.life, v, ln, *s.limits.Load())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jails[j.vnode] != nil {
		return fmt.Errorf("vnode %q has a socket already", j.vnode)
	}
	s.jails[j.vnode] = j
	j.done.Go(func() { s.accept(j) })
	return nil
}

// remove takes a jail out; afterwards nothing of it is alive.
func (s *server) remove(vnode string) error {
	s.mu.Lock()
	j := s.jails[vnode]
	if j != nil {
		delete(s.jails, vnode)
		s.ending[j] = true
	}
	s.mu.Unlock()
	if j == nil {
		return fmt.Errorf("no vnode %q", vnode)
	}
	err := j.close()
	s.spent.close()
	s.mu.Lock()
	delete(s.ending, j)
	s.mu.Unlock()
	return err
}

func (s *server) jail(vnode string) *jail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jails[vnode]
}

func (s *server) list() []*jail {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*jail, 0, len(s.jails))
	for _, j := range s.jails {
		all = append(all, j)
	}
	return all
}

// alive are the jails, and those that are being taken away.
func (s *server) alive() []*jail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Values(s.jails)), maps.Keys(s.ending))
}

// drain stops accepting, waits for the requests under way, and cuts what isn't
// done in time. Connections that have said nothing aren't waited for.
func (s *server) drain(cut context.CancelFunc) {
	jails := s.alive()
	for _, j := range jails {
		if err := j.stop(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Warn("socket doesn't close", "vnode", j.vnode, "error", err)
		}
		for j.crowd.evict() {
			s.open.Add(-1)
		}
	}
	late := time.AfterFunc(s.o.Deadlines.Drain, cut)
	defer late.Stop()
	for _, j := range jails {
		j.done.Wait()
	}
}
