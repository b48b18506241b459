package hub

import (
	"context"
	"errors"
	"testing"
	"time"

	"emujail/jailsetup/event"
)

func TestWatch(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	v1 := h.join("v1", demo, "prog0")
	ctx, stop := context.WithCancel(context.Background())
	seen := make(chan event.Event, 10)
	done := make(chan error, 1)
	go func() { done <- h.Watch(ctx, demo, func(e event.Event) error { seen <- e; return nil }) }()
	h.await("the watcher", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.experiments[demo].watched()
	})
	v1.say(event.Event{Object: "prog0", Type: event.Program, Action: "COMPLETE", Args: "ERROR=0 EXIT=0"})
	if e := <-seen; e.From != "v1" || e.Action != "COMPLETE" {
		t.Errorf("%+v", e)
	}
	// Who said it doesn't hear it again.
	if _, err := h.Send(demo, "prog0", "START", ""); err != nil {
		t.Fatal(err)
	}
	if e := v1.hears(); e.Action != "START" {
		t.Errorf("%+v", e)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := h.Watch(context.Background(), other, nil); !errors.Is(err, ErrExperiment) {
		t.Error(err)
	}
}

// TestWatchGoesOn: who watches an experiment whose last jail is killed, sees what
// becomes of the next one.
func TestWatchGoesOn(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	ctx, stop := context.WithCancel(context.Background())
	seen := make(chan event.Event, 10)
	done := make(chan error, 1)
	go func() { done <- h.Watch(ctx, demo, func(e event.Event) error { seen <- e; return nil }) }()
	h.await("the watcher", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.experiments[demo].watched()
	})
	if err := errors.Join(h.Close("v1"), h.Forget(demo)); err != nil {
		t.Fatal(err)
	}
	h.open("v1", demo, key)
	h.join("v1", demo, "prog0").say(event.Event{Object: "prog0", Type: event.Program, Action: "COMPLETE", Args: "ERROR=0 EXIT=0"})
	select {
	case e := <-seen:
		if e.Action != "COMPLETE" {
			t.Errorf("%+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("the watcher hears nothing of the next jail")
	}
	// A watcher that leaves takes no schedule along that came meanwhile.
	if err := errors.Join(h.SetSchedule(demo, Schedule{Events: []Item{{Object: "prog0", Action: "START"}}}), h.Close("v1")); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.mu.Lock()
	if x := h.experiments[demo]; x == nil || len(x.Schedule) != 1 {
		t.Error("the schedule has gone with the watcher")
	}
	h.mu.Unlock()
	if err := h.Forget(demo); err != nil {
		t.Fatal(err)
	}
	h.await("an experiment without jails or watchers to be forgotten", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.experiments) == 0
	})
}
