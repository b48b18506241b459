package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/hub"
	"emujail/jailsetup/jail"
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

// kill kills a jail; an experiment without any other is forgotten with it.
func (s *Supervisor) kill(ctx context.Context, vnode string) error {
	r, err := s.host.Site.Load(vnode)
	if err != nil {
		return s.host.Kill(ctx, vnode) // none, or one to complain of
	}
	if err := s.host.Kill(ctx, vnode); err != nil {
		return err
	}
	names, err := s.host.Site.List()
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(names, func(name string) bool {
		o, err := s.host.Site.Load(name)
		return err == nil && o.Project == r.Project && o.Experiment == r.Experiment
	})
	if others {
		return nil
	}
	return s.hub.Forget(r.Project + "/" + r.Experiment)
}

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
