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
	Step  string        `json:"step"`
	Start time.Time     `json:"start"`
	Took  time.Duration `json:"took_ns"`
	Error string        `json:"error,omitempty"`
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
			e := Event{Step: title(step), Start: start, Took: time.Since(start)}
			if err != nil {
				e.Error = err.Error()
			}
			trace(e)
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
