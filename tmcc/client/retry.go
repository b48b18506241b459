package client

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"syscall"
	"time"
)

// busyWait is the pause after a unix socket's backlog was full: its owner lives
// and takes the next caller soon.
const busyWait = 50 * time.Millisecond

// pause says whether err means that nobody was there, so that asking again
// later can't ask twice, and how long to wait.
func (c *Client) pause(err error) (time.Duration, bool) {
	if c.opts.RefusedWait < 0 || !isDial(err) {
		return 0, false
	}
	if c.opts.Network != Unix {
		return c.opts.RefusedWait, isRefused(err)
	}
	if errors.Is(err, syscall.EAGAIN) {
		return min(busyWait, c.opts.RefusedWait), true
	}
	return c.opts.RefusedWait, isRefused(err) || errors.Is(err, fs.ErrNotExist)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// logPause tells of the first pause of a request, and of the others at Debug.
func (c *Client) logPause(ctx context.Context, round int, pause time.Duration, err error) {
	level := slog.LevelDebug
	if round == 0 && pause > busyWait {
		level = slog.LevelInfo
	}
	c.log.Log(ctx, level, "nobody answers, trying again", "after", pause, "err", err)
}

// sleep waits for d; false means that ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
