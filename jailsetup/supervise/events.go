package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/hub"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/plan"
)

// EventRequest is what the operator wants of an experiment's events: one of
// them told now, or at a time; its schedule set; its time started; or all
// shown.
type EventRequest struct {
	Experiment string        `json:"experiment"`
	Object     string        `json:"object,omitempty"`
	Action     string        `json:"action,omitempty"`
	Args       string        `json:"args,omitempty"`
	At         *float64      `json:"at,omitempty"` // seconds of the experiment's time
	Schedule   *hub.Schedule `json:"schedule,omitempty"`
	Start      bool          `json:"start,omitempty"`
	Watch      bool          `json:"watch,omitempty"`
}

// event carries out [VerbEvent].
func (s *Supervisor) event(ctx context.Context, c net.Conn, req EventRequest) (Reply, error) {
	x, err := s.hub.FullName(req.Experiment)
	if err != nil {
		return Reply{}, err
	}
	if req.Watch {
		return Reply{}, s.watchEvents(ctx, c, x)
	}
	if req.Schedule != nil {
		if err := s.hub.SetSchedule(x, *req.Schedule); err != nil {
			return Reply{}, err
		}
	}
	if req.Start {
		if err := s.hub.Start(x); err != nil {
			return Reply{}, err
		}
	}
	switch {
	case req.Object == "":
		return Reply{}, nil
	case req.At != nil:
		return Reply{}, s.hub.At(x, hub.Item{At: *req.At, Object: req.Object, Action: req.Action, Args: req.Args})
	}
	to, err := s.hub.Send(x, req.Object, req.Action, req.Args)
	return Reply{To: to}, err
}

// watchEvents writes the experiment's events until the client goes.
func (s *Supervisor) watchEvents(ctx context.Context, c net.Conn, experiment string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	s.group.Go(func() {
		_, _ = c.Read(make([]byte, 1)) // it says nothing more: what comes is its end
		cancel()
	})
	return s.hub.Watch(ctx, experiment, func(e event.Event) error {
		e.MAC = "" // the key's business
		data, err := json.Marshal(Reply{Event: &e})
		if err != nil {
			return err
		}
		if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		_, err = c.Write(append(data, '\n'))
		return err
	})
}

// kill kills a jail, and forgets its vnode, and its experiment if that was the last.
func (s *Supervisor) kill(ctx context.Context, vnode string) error {
	r, loadErr := s.host.Site.Load(vnode)
	err := s.host.Kill(ctx, vnode) // none, or one to complain of, too
	if loadErr == nil && err == nil {
		s.forget(r)
	}
	return err
}

// bootJail boots a jail. Of an experiment that has left the vnode nothing is left;
// of one whose first boot has failed what the operator gave it.
func (s *Supervisor) bootJail(ctx context.Context, vnode string, rest jail.Rest, progress func(plan.Event)) (jail.Record, error) {
	before, _ := s.host.Site.Load(vnode) // the boot complains of one that can't be read
	after, err := s.host.Boot(ctx, vnode, rest, progress)
	if before.VNode != "" && experimentOf(before) != experimentOf(after) {
		s.forget(before)
	}
	if err != nil && after.Project != "" {
		s.unlessKnown(after, s.hub.ForgetKey)
	}
	return after, err
}

// forget drops what the supervisor knows for a record, if that is gone: the
// vnode's account of reboots, and the experiment with its schedule and its key if
// no other jail is of it.
func (s *Supervisor) forget(r jail.Record) {
	now, err := s.host.Site.Load(r.VNode)
	if err != nil || experimentOf(now) != experimentOf(r) { // else a disk that was kept
		s.mu.Lock()
		delete(s.restarts, r.VNode)
		s.mu.Unlock()
	}
	s.unlessKnown(r, s.hub.Forget)
}

// unlessKnown calls forget with the record's experiment if no jail here is of it.
func (s *Supervisor) unlessKnown(r jail.Record, forget func(experiment string) error) {
	known, err := s.knownExperiments()
	if err == nil && !known[experimentOf(r)] {
		err = forget(experimentOf(r))
	}
	if err != nil {
		s.log.Error("experiment not forgotten", "experiment", experimentOf(r), "error", err)
	}
}

// forgetOthers drops experiments whose last jail went while no supervisor ran, or
// just before the last one ended.
func (s *Supervisor) forgetOthers() {
	known, err := s.knownExperiments()
	if err == nil {
		err = s.hub.ForgetOthers(func(x string) bool { return known[x] })
	}
	if err != nil {
		s.log.Error("experiments not forgotten", "error", err)
	}
}

// knownExperiments are those that have a record here. One record that can't be
// read may be of any.
func (s *Supervisor) knownExperiments() (map[string]bool, error) {
	jails, err := List(s.host.Site)
	known := map[string]bool{}
	for _, j := range jails {
		known[experimentOf(j.Record)] = true
	}
	return known, err
}

func experimentOf(r jail.Record) string { return r.Project + "/" + r.Experiment }

// errNoEvent is a request without its words.
var errNoEvent = errors.New("event: nothing to tell")

// eventsMode lets the jail's root, whose agents it is for, reach the socket.
const eventsMode = 0o600

// openEvents is [jail.EventHands]' Open.
func (s *Supervisor) openEvents(_ context.Context, d jail.EventDoor) error {
	l, err := bind(d.Path, eventsMode)
	if err != nil {
		return err
	}
	return s.hub.Open(hub.Door{VNode: d.VNode, Experiment: d.Experiment, Key: d.Key, Root: uint32(d.IDBase)}, l)
}
