package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"emujail/jailsetup/event"
)

// Item is one event of a schedule.
type Item struct {
	At     float64 `json:"at"` // seconds after the experiment's start of time
	Object string  `json:"object"`
	Action string  `json:"action"`
	Args   string  `json:"args,omitempty"`
}

// Schedule is what is to happen in an experiment, and the groups of objects
// that its events may name.
type Schedule struct {
	Groups map[string][]string `json:"groups,omitempty"`
	Events []Item              `json:"events"`
}

// Bounds of a schedule.
const (
	maxItems  = 100_000
	maxAt     = 1e9
	maxGroups = 4096
)

func (s Schedule) check() error {
	if len(s.Events) > maxItems || len(s.Groups) > maxGroups {
		return fmt.Errorf("schedule of %d events and %d groups: at most %d and %d", len(s.Events), len(s.Groups), maxItems, maxGroups)
	}
	for n, i := range s.Events {
		if err := i.check(); err != nil {
			return fmt.Errorf("event %d: %w", n+1, err)
		}
	}
	for name, members := range s.Groups {
		for _, m := range append([]string{name}, members...) {
			if !objectName.MatchString(m) {
				return fmt.Errorf("group %q: name %q: want letters, digits or one of - . _", name, m)
			}
		}
	}
	return nil
}

func (i Item) check() error {
	if !(i.At >= 0 && i.At < maxAt) {
		return fmt.Errorf("at %v: want seconds, 0 or more", i.At)
	}
	return checkWords(i.Object, i.Action, i.Args)
}

func sortItems(list []Item) {
	slices.SortStableFunc(list, func(a, b Item) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
}

// SetSchedule replaces an experiment's schedule, if all of it is understood by
// the objects that are there. Time that runs goes on: what lies before it isn't
// sent.
func (h *Hub) SetSchedule(name string, s Schedule) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := CheckExperiment(name); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.take(name)
	if err := x.checkEvents(s); err != nil {
		return err
	}
	x.Groups, x.Schedule, x.Next = s.Groups, slices.Clone(s.Events), 0
	sortItems(x.Schedule)
	for !x.started.IsZero() && x.Next < len(x.Schedule) && x.due(x.Next).Before(time.Now()) {
		x.Next++
	}
	h.stir()
	return h.save(x)
}

// checkEvents says which event of a schedule means nothing to its objects. The
// lock is held.
func (x *experiment) checkEvents(s Schedule) error {
	if len(x.subscribers) == 0 {
		return nil
	}
	with := experiment{record: record{Groups: s.Groups}, subscribers: x.subscribers}
	seen := map[event.Event]bool{} // a schedule says the same again and again, and all agents wait for the lock
	for n, i := range s.Events {
		e := event.Event{Object: i.Object, Action: i.Action, Args: i.Args}
		if seen[e] {
			continue
		}
		seen[e] = true
		if err := with.checkEvent(e); err != nil {
			return fmt.Errorf("event %d: %w", n+1, err)
		}
	}
	return nil
}

// At adds an event to an experiment's schedule. What is past already is sent
// at once.
func (h *Hub) At(name string, i Item) error {
	if err := i.check(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x, err := h.find(name)
	if err != nil {
		return err
	}
	if err := x.checkEvent(event.Event{Object: i.Object, Action: i.Action, Args: i.Args}); err != nil {
		return err
	}
	if len(x.Schedule) == maxItems {
		return fmt.Errorf("the schedule has %d events: that is the most", maxItems)
	}
	rest := append(slices.Clone(x.Schedule[x.Next:]), i)
	sortItems(rest)
	x.Schedule = append(x.Schedule[:x.Next:x.Next], rest...)
	h.stir()
	return h.save(x)
}

// Start is the experiment's start of time: agents are told TIME START, and the
// schedule runs from its beginning.
func (h *Hub) Start(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	x, err := h.find(name)
	if err != nil {
		return err
	}
	x.started, x.notBefore, x.Next = time.Now(), time.Time{}, 0
	if _, err := h.publish(x, event.Event{Object: "*", Type: event.Time, Action: "START"}, nil); err != nil {
		return err
	}
	h.stir()
	return h.save(x)
}

// due is when an item is to be sent.
func (x *experiment) due(n int) time.Time {
	t := x.started.Add(time.Duration(x.Schedule[n].At * float64(time.Second)))
	if t.Before(x.notBefore) {
		return x.notBefore
	}
	return t
}

// stir makes Run look at the schedules again.
func (h *Hub) stir() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// farAway is how long Run sleeps when nothing is due.
const farAway = time.Hour

// Run sends what is due until ctx ends. It counts by the monotonic clock: a
// clock that jumps moves nothing.
func (h *Hub) Run(ctx context.Context) {
	timer := time.NewTimer(farAway)
	defer timer.Stop()
	for {
		timer.Reset(h.sendDue(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-timer.C:
		}
	}
}

// sendDue sends what is due and returns how long the next is away.
func (h *Hub) sendDue(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := farAway
	if h.ended {
		return next
	}
	for _, x := range h.experiments {
		if x.started.IsZero() {
			continue
		}
		sent := false
		for ; x.Next < len(x.Schedule) && !x.due(x.Next).After(now); x.Next++ {
			h.sendItem(x, x.Schedule[x.Next])
			sent = true
		}
		if x.Next < len(x.Schedule) {
			next = min(next, x.due(x.Next).Sub(now))
		}
		if !sent {
			continue
		}
		if err := h.save(x); err != nil {
			h.log.Warn("schedule not saved: a new supervisor may send events again", "experiment", x.Experiment, "error", err)
		}
	}
	return next
}

func (h *Hub) sendItem(x *experiment, i Item) {
	to, err := h.publish(x, event.Event{Object: i.Object, Action: i.Action, Args: i.Args}, nil)
	log := h.log.With("experiment", x.Experiment, "at", i.At, "object", i.Object, "action", i.Action)
	switch {
	case err != nil:
		log.Warn("scheduled event not sent", "error", err)
	case len(to) == 0:
		log.Warn("scheduled event for nobody: no agent has the object")
	default:
		log.Info("scheduled event", "to", to)
	}
}
