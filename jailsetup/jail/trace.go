package jail

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"emujail/jailsetup/plan"
	"emujail/jailsetup/wholefile"
)

// Trace is a boot as it went: each step with its start, its duration and its
// outcome (peers.md T37).
type Trace struct {
	VNode   string        `json:"vnode"`
	Boot    int           `json:"boot,omitempty"` // serial of the boot
	Start   time.Time     `json:"start"`
	Took    time.Duration `json:"took_ns"`
	Outcome plan.Outcome  `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Steps   []plan.Event  `json:"steps"`
}

// NewTrace is the trace of a boot that has just ended, with err, in these
// events.
func NewTrace(vnode string, events []plan.Event, err error) Trace {
	t := Trace{VNode: vnode, Start: time.Now(), Outcome: plan.Done, Steps: events}
	if len(events) > 0 {
		last := events[len(events)-1]
		t.Start = events[0].Start
		t.Took = last.Start.Add(last.Took).Sub(t.Start)
	}
	if err != nil {
		t.Outcome, t.Error = plan.Failed, err.Error()
	}
	return t
}

// lastSteps is how many steps of a failed boot are told.
const lastSteps = 5

// Tail is the last of the events, a line each, for people who want to know
// where a boot failed.
func Tail(events []plan.Event) string {
	var text strings.Builder
	for _, e := range events[max(0, len(events)-lastSteps):] {
		text.WriteString(e.String() + "\n")
	}
	return text.String()
}

// tracer collects the events of one boot.
type tracer struct {
	events []plan.Event
	each   func(plan.Event) // hears of each; nil: nobody
}

func (t *tracer) add(e plan.Event) {
	t.events = append(t.events, e)
	if t.each != nil {
		t.each(e)
	}
}

// step does what is part of a boot and is no step of a plan.
func (t *tracer) step(name string, do func() error) error {
	start := time.Now()
	err := do()
	t.add(plan.NewEvent(name, start, err))
	return err
}

func (t *tracer) note(text string) {
	t.add(plan.Event{Step: text, Start: time.Now(), Outcome: plan.Noted})
}

// writeTrace keeps the last boot's trace beside the record.
func (h *Host) writeTrace(r Record, t *tracer, bootErr error) {
	trace := NewTrace(r.VNode, t.events, bootErr)
	trace.Boot = r.Boot
	data, err := json.Marshal(trace)
	if err == nil {
		err = wholefile.Write(h.Site.TracePath(r.VNode), data, 0o600)
	}
	if err != nil {
		h.Log.Warn("boot trace not kept", "vnode", r.VNode, "error", err)
	}
}

// Notes are what the host has to say of the vnode's last boot: what it couldn't
// provide. None if it was never built.
func (s Site) Notes(vnode string) ([]string, error) {
	if err := CheckName(vnode); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.TracePath(vnode))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var trace Trace
	if err := json.Unmarshal(data, &trace); err != nil {
		return nil, err
	}
	var notes []string
	for _, e := range trace.Steps {
		if e.Outcome == plan.Noted {
			notes = append(notes, e.Step)
		}
	}
	return notes, nil
}
