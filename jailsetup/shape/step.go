package shape

import (
	"context"
	"fmt"

	"emujail/jailsetup/plan"
)

// KindLink is the undo of a [Step]: the splice, its shaping, the record.
// Data: the link's name.
const KindLink = "shape-link"

// Hands are what the supervisor's [Keeper] does for a plan.
type Hands struct {
	Shape   func(context.Context, Link) error
	Unshape func(ctx context.Context, id string) error
}

// Step shapes a jail's interface, or records that it isn't shaped, so that it
// can be while the jail runs. It follows the interface's own step.
type Step struct {
	Link  Link
	Hands Hands
}

// String implements [plan.Step].
func (s Step) String() string {
	b := s.Link.Shape
	if b.Plain() {
		return fmt.Sprintf("leave %s unshaped", s.Link)
	}
	return fmt.Sprintf("shape %s: out %s; in %s", s.Link, b.Out, b.In)
}

// Undo implements [plan.Step].
func (s Step) Undo() ([]plan.Undo, error) {
	id, err := s.Link.ID()
	if err != nil {
		return nil, err
	}
	u, err := plan.NewUndo(KindLink, id)
	return []plan.Undo{u}, err
}

// Do implements [plan.Step].
func (s Step) Do(ctx context.Context, _ *plan.State) error { return s.Hands.Shape(ctx, s.Link) }
