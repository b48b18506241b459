package plan

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Event is one line of a boot trace: what a step did and how long it took
// (spec peers.md T37).
type Event struct {
	Step    string        `json:"step"`
	Start   time.Time     `json:"start"`
	Took    time.Duration `json:"took_ns"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`
}

// Outcome is how a step ended.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "ok"
	Failed Outcome = "failed"
	Noted  Outcome = "note" // no step: something that people should know
)

// NewEvent is the event of a step that began at start and ends now.
func NewEvent(step string, start time.Time, err error) Event {
	e := Event{Step: step, Start: start, Took: time.Since(start), Outcome: Done}
	if err != nil {
		e.Outcome, e.Error = Failed, err.Error()
	}
	return e
}

// String is the event as a line for people.
func (e Event) String() string {
	text := fmt.Sprintf("%8.1f ms  %s", float64(e.Took.Microseconds())/1000, e.Step)
	if e.Outcome == Failed {
		text += ": " + e.Error
	}
	return text
}

// Run does the steps in order, each after its undo is in the log. It stops at
// the first failure and returns it with the step's words; unwinding is the
// caller's decision. Each step's end is told to trace, which may be nil.
func Run(ctx context.Context, steps []Step, log *Log, s *State, trace func(Event)) error {
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", title(step), context.Cause(ctx))
		}
		start := time.Now()
		err := runOne(ctx, step, log, s)
		if trace != nil {
			trace(NewEvent(title(step), start, err))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", title(step), err)
		}
	}
	return nil
}

// title is a step's first line: a step may list what it does below it.
func title(step Step) string {
	line, _, _ := strings.Cut(step.String(), "\n")
	return line
}

func runOne(ctx context.Context, step Step, log *Log, s *State) error {
	undos, err := step.Undo()
	if err != nil {
		return err
	}
	for _, u := range undos {
		if err := log.Append(u); err != nil {
			return err
		}
	}
	return step.Do(ctx, s)
}
