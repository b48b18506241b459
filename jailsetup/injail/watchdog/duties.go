package watchdog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"emujail/protocol"
)

// duty is a row of the watchdog's table.
type duty struct {
	name     string
	seconds  func(protocol.WatchdogInfo) int // which of the intervals is its
	fallback time.Duration                   // interval where tmcd says nothing; 0: never
	atOnce   bool                            // the first turn comes at the start
	retry    bool
	do       func(context.Context) error

	every time.Duration
	due   time.Time
	said  string // the last failure, as logged
}

func (w *Watchdog) table() []*duty {
	return []*duty{
		{name: "isalive", seconds: func(i protocol.WatchdogInfo) int { return i.IsAlive }, fallback: defaultIsAlive,
			atOnce: true, retry: true, do: w.isAlive},
		{name: "watchdoginfo", seconds: func(i protocol.WatchdogInfo) int { return i.Interval }, fallback: defaultInterval,
			retry: true, do: w.info},
		{name: "rusage", seconds: func(i protocol.WatchdogInfo) int { return i.RUsage }, atOnce: true, do: w.usage},
		{name: "hostkeys", seconds: func(i protocol.WatchdogInfo) int { return i.HostKeys }, atOnce: true, do: w.hostKeys},
		{name: "rootpswd", seconds: func(i protocol.WatchdogInfo) int { return i.SetRootPswd }, atOnce: true, do: w.rootPassword},
	}
}

// isAlive reports and updates if that is the answer.
func (w *Watchdog) isAlive(ctx context.Context) error {
	reply, err := w.opt.AskUDP(ctx, "isalive")
	if err != nil {
		return err
	}
	return w.answered(ctx, reply)
}

func (w *Watchdog) usage(ctx context.Context) error {
	u, err := w.opt.Usage()
	if err != nil {
		return err
	}
	reply, err := w.opt.AskUDP(ctx, "rusage", fmt.Sprintf("LA1=%.2f", u.Load1), fmt.Sprintf("LA5=%.2f", u.Load5),
		fmt.Sprintf("LA15=%.2f", u.Load15), fmt.Sprintf("DUSED=%.1f", u.DiskPercent))
	if err != nil {
		return err
	}
	return w.answered(ctx, reply)
}

// answered looks for UPDATE. A failed update is tried again at the next
// report, without being asked; its error isn't the report's.
func (w *Watchdog) answered(ctx context.Context, reply []byte) error {
	u, err := protocol.ParseUpdate(reply)
	if err != nil {
		return err
	}
	if u.Update == 0 && !w.updateFails {
		return nil
	}
	err = w.opt.Update(ctx)
	w.updateFails = err != nil
	if err != nil {
		w.opt.Logger.Warn("watchdog: update: " + err.Error())
	}
	return nil
}

func (w *Watchdog) info(ctx context.Context) error {
	reply, err := w.opt.AskUDP(ctx, "watchdoginfo")
	if err != nil {
		return err
	}
	info, err := protocol.ParseWatchdogInfo(reply)
	if err != nil {
		return err
	}
	w.take(info, time.Now())
	return nil
}

func (w *Watchdog) hostKeys(ctx context.Context) error {
	args, err := w.opt.HostKeys()
	if err != nil || len(args) == 0 {
		return err
	}
	_, err = w.opt.Ask(ctx, "hostkeys", args...)
	return err
}

func (w *Watchdog) rootPassword(ctx context.Context) error {
	reply, err := w.opt.Ask(ctx, "rootpswd")
	if err != nil {
		return err
	}
	hash, err := protocol.ParseRootPassword(reply)
	if err != nil {
		return err
	}
	if hash == "" {
		return errors.New("tmcd gives no password hash")
	}
	return w.opt.SetRootHash(ctx, string(hash))
}
