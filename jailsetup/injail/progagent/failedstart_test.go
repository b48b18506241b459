package progagent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

// answered runs f, which must not wait for what the test holds up.
func answered(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what + ": no answer within 10 s")
	}
}

// TestFailedStartHoldsNobodyUp: whoever is told of it may be as slow as a tmcd that
// doesn't answer, and nobody waits for outputs that nothing writes.
func TestFailedStartHoldsNobodyUp(t *testing.T) {
	b := newBench(t, protocol.Programs{Programs: []protocol.Program{
		{Name: "prog0", Command: "true", Dir: "/nonexistent"}, {Name: "prog1", Command: "echo on; exec sleep 60"}}})
	told, goOn := make(chan Outcome, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	b.opt.Finished = func(o Outcome) {
		told <- o
		<-goOn
	}
	b.drain = time.Minute
	for name, start := range map[string]func() error{
		"START":                func() error { return b.send("START", "") },
		"the start-up command": func() error { return b.RunOnce("startupcmd", Command{User: "bob", Text: "true", Dir: "/nonexistent"}) },
	} {
		answered(t, name, func() {
			if err := start(); err == nil {
				t.Error(name + ": no error")
			}
		})
		select {
		case o := <-told:
			if o.Error == "" || o.Exit != -1 {
				t.Errorf("%s: %+v", name, o)
			}
		case <-time.After(10 * time.Second):
			t.Fatal(name + ": no outcome within 10 s")
		}
	}
	answered(t, "START of another", func() {
		if err := b.Deliver(context.Background(), event.Event{Object: "prog1", Type: event.Program, Action: "START"}); err != nil {
			t.Error(err)
		}
	})
	b.await("prog1.out")
	release()
	answered(t, "Close", b.Close)
	if err := b.send("START", ""); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
