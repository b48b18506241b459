package gotest

import (
	"strings"
	"testing"
)

// TestWords: what is kept of a test that talks without end has a limit, and is
// forgotten when it was taken.
func TestWords(t *testing.T) {
	w := Words{}
	said := Event{Action: "output", Package: "p", Test: "TestA", Output: strings.Repeat("x", 1000) + "\n"}
	for range 500 {
		if !w.Hear(said) {
			t.Fatal("output isn't heard")
		}
	}
	end := Event{Action: "fail", Package: "p", Test: "TestA"}
	if w.Hear(end) {
		t.Error("an end is taken for output")
	}
	if got := len(w.Take(end)); got < maxWords || got > maxWords+2000 {
		t.Errorf("%d bytes kept, want about %d", got, maxWords)
	}
	if got := w.Take(end); got != "" || len(w) != 0 {
		t.Errorf("%d bytes a second time", len(got))
	}
}

// TestRun: tests that fail are an error, their events come all the same; what
// isn't an event goes by itself.
func TestRun(t *testing.T) {
	var plain strings.Builder
	var actions []string
	err := Run([]string{"-run", "TestWords", "."}, nil, &plain, func(e Event) {
		if e.Test == "TestWords" {
			actions = append(actions, e.Action)
		}
	})
	if err != nil || len(actions) == 0 || actions[len(actions)-1] != "pass" {
		t.Errorf("%v, %v, %q", err, actions, plain.String())
	}
	if err := Run([]string{"./nowhere"}, nil, &plain, func(Event) {}); err == nil {
		t.Error("a package that isn't there is no error")
	}
}
