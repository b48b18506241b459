package plan

import (
	"context"
	"errors"
)

// Beside splits a step in two, for plans in which it is done beside the steps
// between them: they don't need it, nor it them, nor does it use the [State].
//
//	begin, await := plan.Beside(namespace)
//	defer begin.Wait()
//	plan.Run(ctx, []plan.Step{begin, cgroup, spawn, await, link}, …)
func Beside(s Step) (Begin, Await) {
	j := &job{done: make(chan struct{})}
	return Begin{Step: s, job: j}, Await{step: s, job: j}
}

type job struct {
	begun bool
	done  chan struct{} // closed when it has ended
	err   error
}

// Begin is the step up to its deed's beginning. Its undo is the whole step's, and
// on disk before.
type Begin struct {
	Step
	job *job
}

// Do implements [Step].
func (b Begin) Do(ctx context.Context, _ *State) error {
	b.job.begun = true
	go func() {
		defer close(b.job.done)
		b.job.err = b.Step.Do(ctx, nil)
	}()
	return nil
}

// Wait waits for the end of what was begun. A plan that may have failed in between
// is not unwound before.
func (b Begin) Wait() {
	if b.job.begun {
		<-b.job.done
	}
}

// Await is the step that waits until the deed is done.
type Await struct {
	step Step
	job  *job
}

// String implements [Step].
func (a Await) String() string { return "wait for the end of: " + title(a.step) }

// Undo implements [Step]: [Begin] has it.
func (a Await) Undo() ([]Undo, error) { return nil, nil }

// Do implements [Step].
func (a Await) Do(context.Context, *State) error {
	if !a.job.begun {
		return errors.New("it has not begun")
	}
	<-a.job.done
	return a.job.err
}
