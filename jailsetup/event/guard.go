package event

import (
	"errors"
	"fmt"
	"time"
)

// Reasons for which a Guard refuses an event.
var (
	ErrExperiment = errors.New("event of another experiment")
	ErrKey        = errors.New("event not made with this experiment's key")
	ErrTime       = errors.New("event too old or from the future")
	ErrReplay     = errors.New("event seen before")
)

// DefaultSkew is how far an event's time may be from ours.
const DefaultSkew = 2 * time.Minute

// maxSenders bounds what a Guard remembers. The sender that was silent
// longest is forgotten first.
const maxSenders = 256

// Guard decides whether an agent obeys an event. The zero value with an
// Experiment is usable; it isn't safe for several goroutines.
type Guard struct {
	Experiment string
	Key        []byte        // empty: nothing is checked but the experiment
	Skew       time.Duration // 0: DefaultSkew

	seen map[uint64]last
}

type last struct {
	seq uint64
	at  time.Time
}

// Check returns nil once for each event that is genuine and in time. Within a
// sender, Seq must grow: what comes late is refused with what comes twice,
// since an agent that obeys START after the STOP that followed it does harm.
func (g *Guard) Check(e Event, now time.Time) error {
	if e.Experiment != g.Experiment {
		return fmt.Errorf("%w: %s", ErrExperiment, e.Experiment)
	}
	if len(g.Key) == 0 {
		return nil
	}
	if !e.Verify(g.Key) {
		return ErrKey
	}
	skew := g.Skew
	if skew == 0 {
		skew = DefaultSkew
	}
	if d := now.Sub(e.Time); d > skew || d < -skew {
		return fmt.Errorf("%w: by %v", ErrTime, d.Round(time.Millisecond))
	}
	if l, ok := g.seen[e.Sender]; ok && e.Seq <= l.seq {
		return ErrReplay
	}
	g.remember(e, now)
	return nil
}

func (g *Guard) remember(e Event, now time.Time) {
	if g.seen == nil {
		g.seen = make(map[uint64]last)
	}
	if _, known := g.seen[e.Sender]; !known && len(g.seen) >= maxSenders {
		var oldest uint64
		at := now
		for s, l := range g.seen {
			if !l.at.After(at) {
				oldest, at = s, l.at
			}
		}
		delete(g.seen, oldest)
	}
	g.seen[e.Sender] = last{e.Seq, now}
}
