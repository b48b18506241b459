package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emujail/jailsetup/plan"
)

// EventsSocket is the jail's way to the event hub, in its given directory.
const EventsSocket = "events"

const kindEvents = "events" // data: eventsUndo

// EventDoor is whose event socket is to be opened, and where.
type EventDoor struct {
	VNode      string
	Path       string
	IDBase     int    // the host's id for the jail's root: nobody else may speak
	Experiment string // pid/eid: whose events it gets
	Key        string // of the experiment; empty: as the hub knows it from before
}

// EventHands are what the event hub does for a plan.
type EventHands struct {
	// Open binds the socket and serves it.
	Open func(context.Context, EventDoor) error
	// Close ends that. It bears a vnode that has none.
	Close func(vnode string) error
}

// EventDoor is a jail's; of one that runs, a new supervisor opens it again.
func (s Site) EventDoor(r Record) EventDoor {
	return EventDoor{
		VNode: r.VNode, Path: filepath.Join(s.GivenDir(r.VNode), EventsSocket), IDBase: r.IDBase,
		Experiment: r.Project + "/" + r.Experiment,
	}
}

// EventsDir keeps what the event hub must not forget; it holds keys.
func (s Site) EventsDir() string { return filepath.Join(s.State, ".events") }

// Events is the step that opens the jail's event socket.
type Events struct {
	Door  EventDoor
	Hands EventHands
}

// String implements [plan.Step].
func (e Events) String() string {
	return fmt.Sprintf("open socket %s for the events of %s", e.Door.Path, e.Door.Experiment)
}

type eventsUndo struct{ VNode, Path string }

// Undo implements [plan.Step].
func (e Events) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo(kindEvents, eventsUndo{e.Door.VNode, e.Door.Path})
	return []plan.Undo{u}, err
}

// Do implements [plan.Step].
func (e Events) Do(ctx context.Context, _ *plan.State) error { return e.Hands.Open(ctx, e.Door) }

// closeEvents is the deed of [kindEvents].
func (h *Host) closeEvents(_ context.Context, u eventsUndo) error {
	err := os.Remove(u.Path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(h.Hands.Events.Close(u.VNode), err)
}
