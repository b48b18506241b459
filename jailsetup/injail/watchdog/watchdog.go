// Package watchdog tells tmcd at intervals that the node lives, and does what
// tmcd answers: jail.md §3.9 as far as it concerns a jail.
//
//	w := watchdog.New(watchdog.Options{Ask: …, AskUDP: …, Update: …})
//	w.Run(ctx)
//
// Duties: isalive and rusage by UDP through the proxy, with retries; when they
// answer UPDATE=1, or the last update failed, an update of the accounts; the
// intervals themselves (watchdoginfo), from the jail's cache first; host keys
// and root's password where the testbed wants them.
//
// It's one loop over a table of duties (duties.go), each with the time when it
// is next due. Times are monotonic: a clock that is set, back or forth, moves
// nothing. One duty at a time: a tmcd that doesn't answer delays the others by
// some seconds, an update by as long as it takes or whoever provides it lets it.
//
// The package asks through functions that it's given: it knows neither sockets
// nor files of the cache.
package watchdog

import (
	"context"
	"log/slog"
	"time"

	"emujail/protocol"
)

// Options say how to ask and what to do. All functions must be set.
type Options struct {
	// Ask asks over a stream, AskUDP by a datagram; both bounded in time.
	Ask, AskUDP func(ctx context.Context, command string, args ...string) ([]byte, error)
	Update      func(ctx context.Context) error   // bring accounts up to date; bounded in time, too
	Usage       func() (Usage, error)             // load and disk
	HostKeys    func() (args []string, err error) // words of `hostkeys`; none: don't report
	SetRootHash func(ctx context.Context, hash string) error
	Logger      *slog.Logger
	Info        *protocol.WatchdogInfo // the first, from the cache; nil: defaults
}

// Usage is what rusage reports.
type Usage struct {
	Load1, Load5, Load15 float64
	DiskPercent          float64 // used, of the root file system
}

// Defaults of a jail where tmcd says nothing (§3.9).
const (
	defaultIsAlive  = 10 * time.Minute
	defaultInterval = time.Hour
)

// Retries of a question that got no answer, before the next turn.
const retries = 3

// Watchdog is the loop.
type Watchdog struct {
	opt         Options
	duties      []*duty
	updateFails bool
}

// New makes the loop. The duties that report are due at once.
func New(o Options) *Watchdog {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watchdog{opt: o}
	w.duties = w.table()
	now := time.Now()
	for _, d := range w.duties {
		d.every = d.fallback
		d.due = now
		if !d.atOnce {
			d.due = now.Add(d.every)
		}
	}
	if o.Info != nil {
		w.take(*o.Info, now)
	}
	return w
}

// Run works until ctx ends.
func (w *Watchdog) Run(ctx context.Context) {
	for ctx.Err() == nil {
		d := w.next()
		timer := time.NewTimer(time.Until(d.due))
		select {
		case <-ctx.Done():
		case <-timer.C:
			w.do(ctx, d)
		}
		timer.Stop()
	}
}

// next returns the duty that is due first.
func (w *Watchdog) next() *duty {
	first := &duty{due: time.Now().Add(time.Hour), do: func(context.Context) error { return nil }}
	for _, d := range w.duties {
		if d.every > 0 && d.due.Before(first.due) {
			first = d
		}
	}
	return first
}

// do performs a duty and sets the next turn: relative to the planned time, so
// that a slow answer doesn't shift the rhythm, but never in the past.
func (w *Watchdog) do(ctx context.Context, d *duty) {
	if d.name == "" {
		return
	}
	err := w.insist(ctx, d)
	switch {
	case err == nil:
		d.said = ""
	case ctx.Err() == nil && err.Error() != d.said: // the same trouble is worth one line
		d.said = err.Error()
		w.opt.Logger.Warn("watchdog: "+d.said, "duty", d.name)
	}
	d.due = d.due.Add(d.every)
	if now := time.Now(); d.due.Before(now) {
		d.due = now.Add(d.every)
	}
}

// insist repeats a question after 1, 2 and 4 s.
func (w *Watchdog) insist(ctx context.Context, d *duty) error {
	pause := time.Second
	for try := 0; ; try++ {
		err := d.do(ctx)
		if err == nil || !d.retry || try == retries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// take sets the intervals: seconds, 0 never, -1 as before. A changed one counts
// from the last planned time, now at the earliest.
func (w *Watchdog) take(info protocol.WatchdogInfo, now time.Time) {
	for _, d := range w.duties {
		seconds := d.seconds(info)
		every := time.Duration(seconds) * time.Second
		if seconds < 0 || every == d.every {
			continue
		}
		last := d.due.Add(-d.every)
		d.every = every
		if d.due.After(now) { // it has had its first turn, or has none at once
			d.due = last.Add(every)
		}
		if d.due.Before(now) {
			d.due = now
		}
		w.opt.Logger.Info("watchdog: interval", "duty", d.name, "seconds", seconds)
	}
}
