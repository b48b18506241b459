// Package plan is what every change to the host is made of: a step that says
// what it will do, what takes it back, and does it.
//
// A plan is a list of steps. It is a value: [Print] shows it and does nothing,
// [Run] does it. Before a step's deed, the data of its undo is on disk in a
// [Log]; so whatever kills the process that runs the plan, at any instant, the
// log read backwards leads home ([Log.Unwind]). An undo is data with a kind,
// never a closure: the process that unwinds is not the one that did the deed.
// The table from kind to deed stands in package jail, which imports the steps;
// this package imports none of them.
//
//	steps := []plan.Step{dir, image, links}
//	if err := plan.Run(ctx, steps, log, state, trace); err != nil {
//		err = errors.Join(err, log.Unwind(ctx, deeds))
//	}
//
// Records are written before the deed and not synced: a power cut takes the
// deeds with it, all but files, and for those the record of the jail itself is
// synced. An undo must therefore bear that its deed never happened, and to be
// done twice. Design section 1 and decision 10.
package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Undo takes one deed back: a kind, and what the deed of that kind needs to
// know. It is on disk before the deed.
type Undo struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
}

// NewUndo makes an undo of the kind from data, which must be plain data that
// encoding/json renders.
func NewUndo(kind string, data any) (Undo, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Undo{}, fmt.Errorf("render undo %s: %w", kind, err)
	}
	return Undo{Kind: kind, Data: raw}, nil
}

// State is what the steps before have obtained for the ones that follow. The
// files are open while the plan runs and closed by whoever ran it.
type State struct {
	PID    int      // of the jail's first process, as the host counts
	PidFD  *os.File // pins PID
	UserNS *os.File // the jail's user namespace
	NetNS  *os.File // the jail's network namespace
	PIDNS  *os.File // the jail's pid namespace
}

// Close closes every file that the steps have left open.
func (s *State) Close() {
	for _, f := range []**os.File{&s.PidFD, &s.UserNS, &s.NetNS, &s.PIDNS} {
		if *f != nil {
			(*f).Close()
			*f = nil
		}
	}
}

// Step is one change to the host.
type Step interface {
	// String says in one line what the step will do, and may list details in
	// further lines; `-n` prints it all.
	String() string
	// Undo is what takes the deed back, first what must be undone last. It is
	// asked for, and recorded, before Do.
	Undo() ([]Undo, error)
	// Do does the deed. A failed Do may have done a part: its undo is run.
	Do(ctx context.Context, s *State) error
}

// Print writes the plan as a numbered list.
func Print(w io.Writer, steps []Step) error {
	for i, s := range steps {
		if _, err := fmt.Fprintf(w, "%2d. %s\n", i+1, s); err != nil {
			return err
		}
	}
	return nil
}
