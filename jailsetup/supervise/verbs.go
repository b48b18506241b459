package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
)

// requestTimeout bounds the wait for a verb's words.
const requestTimeout = 5 * time.Second

// handle serves one connection: one request, its replies.
func (s *Supervisor) handle(ctx context.Context, c net.Conn) {
	if err := c.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return
	}
	line, err := bufio.NewReaderSize(io.LimitReader(c, maxRequestBytes), 4096).ReadBytes('\n')
	if err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	var req Request
	if err := json.Unmarshal(line, &req); err != nil {
		reply(c, Reply{Done: true, Code: CodeUsage, Error: "request: " + err.Error()})
		return
	}
	if req.Verb == VerbEnter {
		s.enter(ctx, c, req)
		return
	}
	last, err := s.do(ctx, c, req)
	last.Done = true
	if err != nil {
		last.Code, last.Error, last.Unknown = codeOf(err), err.Error(), errors.Is(err, jail.ErrUnknown)
	}
	reply(c, last)
	if req.Verb == VerbStop && err == nil {
		s.stop()
	}
}

// reply writes one line. A client that is gone doesn't end what it asked for.
func reply(c net.Conn, r Reply) {
	data, err := json.Marshal(r)
	if err != nil {
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = c.Write(append(data, '\n'))
}

func codeOf(err error) int {
	var conflict *network.ConflictError
	var short *jail.SpaceError
	switch {
	case errors.Is(err, jail.ErrFree):
		return CodeNotAllocated
	case errors.As(err, &conflict), errors.As(err, &short):
		return CodeHostLacks
	}
	return CodeFailed
}

// do carries out one verb and returns its last reply.
func (s *Supervisor) do(ctx context.Context, c net.Conn, req Request) (Reply, error) {
	switch req.Verb {
	case VerbList:
		jails, err := List(s.host.Site)
		return Reply{Jails: jails}, err
	case VerbInfo:
		n := s.host.Network
		return Reply{Info: &Info{n.Prefix.String(), n.Host.String(), n.Gateway.String(), s.proxy.processID(), os.Getpid()}}, nil
	case VerbEvent:
		if req.Event == nil {
			return Reply{}, errNoEvent
		}
		return s.event(ctx, c, *req.Event)
	case VerbShape:
		return s.shape(ctx, req.Shape)
	case VerbProxy:
		st, err := s.proxy.status()
		return Reply{Proxy: &st}, err
	case VerbHostPorts:
		return s.hostPorts(ctx, req)
	case VerbStop:
		if req.Clean {
			return Reply{}, s.clean(ctx, c)
		}
		return Reply{}, nil
	case VerbBoot, VerbSetup, VerbHalt, VerbReboot, VerbKill:
		return Reply{}, s.change(ctx, c, req)
	}
	return Reply{}, fmt.Errorf("verb %q is not known to this supervisor", req.Verb)
}

// change does a verb that changes one vnode, alone with it.
func (s *Supervisor) change(ctx context.Context, c net.Conn, req Request) error {
	if err := jail.CheckName(req.VNode); err != nil {
		return err
	}
	received := time.Now()
	progress := func(e plan.Event) { reply(c, Reply{Line: e.String(), Step: &e}) }
	unlock, err := s.lock(ctx, req.VNode, func() {
		progress(plan.Event{Step: "another verb is at this vnode: waiting", Start: received, Outcome: plan.Noted})
	})
	if err != nil {
		return err
	}
	defer unlock()
	switch {
	case req.DryRun:
		return s.dryRun(ctx, c, req)
	case req.Verb == VerbBoot:
		return s.boot(ctx, req.VNode, received, progress)
	case req.Verb == VerbSetup:
		return s.setup(ctx, req.VNode, received, progress)
	case req.Verb == VerbHalt:
		return s.host.Halt(ctx, req.VNode)
	case req.Verb == VerbKill:
		return s.kill(ctx, req.VNode)
	}
	halted := s.host.Halt(ctx, req.VNode)
	if halted != nil && !errors.Is(halted, jail.ErrNoJail) {
		return halted
	}
	err = s.boot(ctx, req.VNode, received, progress)
	if err != nil && halted == nil {
		return fmt.Errorf("%w (it is down now: jailsetup boot %s brings it up)", err, req.VNode)
	}
	return err
}

// setup is kill and boot, if tmcd answers: what it has said nothing of yet is not
// destroyed. A vnode that it says is free is only removed.
func (s *Supervisor) setup(ctx context.Context, vnode string, received time.Time, progress func(plan.Event)) error {
	if err := s.host.Answered(ctx, vnode); err != nil {
		return fmt.Errorf("%w (nothing was changed)", err)
	}
	if err := s.kill(ctx, vnode); err != nil {
		return err
	}
	progress(plan.NewEvent("remove what there was of "+vnode, received, nil))
	return s.boot(ctx, vnode, received, progress)
}

// boot builds one jail, in one of the slots, and watches it. The trace begins
// when the verb was received.
func (s *Supervisor) boot(ctx context.Context, vnode string, received time.Time, progress func(plan.Event)) error {
	p := place{slots: s.slots, none: s.noBoots()}
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	if progress != nil {
		progress(plan.NewEvent("wait for a turn", received, nil))
	}
	r, err := s.bootJail(ctx, vnode, p.rest, progress)
	if err != nil {
		return err
	}
	return s.watchJail(ctx, r)
}

// place is a boot's among those that are being built.
type place struct {
	slots chan struct{}
	none  <-chan struct{} // closed: there is none any more
	held  bool
}

func (p *place) take(ctx context.Context) error {
	select {
	case <-p.none:
		return errCleaning
	default:
	}
	select {
	case p.slots <- struct{}{}:
		p.held = true
		return nil
	case <-p.none:
		return errCleaning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *place) give() {
	if p.held {
		<-p.slots
		p.held = false
	}
}

// rest is [jail.Rest]: whoever waits for minutes holds no place meanwhile.
func (p *place) rest(ctx context.Context, d time.Duration) error {
	p.give()
	select {
	case <-time.After(d):
	case <-p.none:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return p.take(ctx)
}

// dryRun prints what the verb would do.
func (s *Supervisor) dryRun(ctx context.Context, c net.Conn, req Request) error {
	var lines []string
	var err error
	switch req.Verb {
	case VerbBoot, VerbReboot:
		lines, err = s.host.DryRun(ctx, req.VNode, req.Verb == VerbReboot)
	case VerbSetup:
		lines, err = s.host.DryRunSetup(ctx, req.VNode)
	default:
		lines, err = s.host.DryRunDown(req.VNode, req.Verb == VerbKill)
	}
	if err != nil {
		return err
	}
	for _, line := range lines {
		reply(c, Reply{Line: line})
	}
	return nil
}

// lock takes the vnode for one verb. If another has it, busy is told, which may be
// nil.
func (s *Supervisor) lock(ctx context.Context, vnode string, busy func()) (unlock func(), err error) {
	s.mu.Lock()
	l := s.locks[vnode]
	if l == nil {
		l = make(chan struct{}, 1)
		s.locks[vnode] = l
	}
	s.mu.Unlock()
	unlock = func() { <-l }
	select {
	case l <- struct{}{}:
		return unlock, nil
	default:
	}
	if busy != nil {
		busy()
	}
	select {
	case l <- struct{}{}:
		return unlock, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Supervisor) hostPorts(ctx context.Context, req Request) (Reply, error) {
	for _, change := range [...]struct {
		ports []string
		deed  func(context.Context, network.Control, network.Port) error
	}{{req.Add, network.AddHostPort}, {req.Remove, network.RemoveHostPort}} {
		for _, text := range change.ports {
			p, err := network.ParsePort(text)
			if err != nil {
				return Reply{}, err
			}
			if err := change.deed(ctx, s.host.Network, p); err != nil {
				return Reply{}, err
			}
		}
	}
	ports, err := network.ListHostPorts(ctx, s.host.Network)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Ports: []string{}}
	for _, p := range ports {
		r.Ports = append(r.Ports, p.String())
	}
	return r, nil
}

// enter joins a verb to the jail's init.
func (s *Supervisor) enter(ctx context.Context, c net.Conn, req Request) {
	inner, err := s.takeConsole(ctx, req)
	if err != nil {
		reply(c, Reply{Done: true, Code: codeOf(err), Error: err.Error()})
		return
	}
	stop := context.AfterFunc(ctx, func() {
		inner.Close()
		c.Close()
	})
	defer stop()
	reply(c, Reply{Ready: true})
	session(c, inner)
}

// comesBack is how long a jail may take that ends just when somebody enters, to
// boot again.
const comesBack = 5 * time.Second

// takeConsole starts a session in the jail. One whose init has just ended is
// waited for: perhaps it reboots.
func (s *Supervisor) takeConsole(ctx context.Context, req Request) (net.Conn, error) {
	inner, err := s.startSession(req)
	if !errors.Is(err, syscall.EPIPE) {
		return inner, err
	}
	ctx, cancel := context.WithTimeout(ctx, comesBack)
	defer cancel()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for err != nil {
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
			inner, err = s.startSession(req)
		}
	}
	return inner, nil
}

// startSession finds a connection of the jail's init and says what to start.
func (s *Supervisor) startSession(req Request) (net.Conn, error) {
	if req.Start == nil {
		return nil, errors.New("enter: nothing to start")
	}
	r, err := s.host.Site.Load(req.VNode)
	if errors.Is(err, os.ErrNotExist) {
		return nil, jail.ErrNoJail
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	d := s.doors[req.VNode]
	s.mu.Unlock()
	if d == nil || r.Phase != jail.Up {
		return nil, fmt.Errorf("%s doesn't run (jailsetup boot %s)", req.VNode, req.VNode)
	}
	inner, err := d.console.take(r.PID)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(req.Start)
	if err == nil {
		_ = inner.SetWriteDeadline(time.Now().Add(writeTimeout))
		err = console.WriteFrame(inner, console.Frame{Type: console.TypeStart, Payload: payload})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the session: %w", err), inner.Close())
	}
	return inner, nil
}
