package agents

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"time"

	"emujail/jailsetup/event"
)

// Pauses between attempts to reach the hub.
const (
	firstRedial = 200 * time.Millisecond
	lastRedial  = 5 * time.Second
)

// followHub obeys the host's event hub as long as ctx lasts. A hub that isn't
// there, or goes, is dialled again with growing pauses; the generators go on
// with what they were told last.
func (a *agents) followHub(ctx context.Context) {
	pause, said := firstRedial, ""
	for ctx.Err() == nil {
		c, err := a.dialHub(ctx)
		if err == nil {
			a.log.Info("agents: hub connected")
			err, pause, said = a.obeyHub(ctx, c), firstRedial, ""
		}
		// No such socket is the rule on a host without a hub: not worth a line.
		quiet := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() != nil
		if !quiet && err.Error() != said {
			said = err.Error()
			a.log.Warn("agents: hub: " + said)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRedial)
	}
}

func (a *agents) dialHub(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: lastRedial}
	return d.DialContext(ctx, "unix", a.paths.Hub)
}

// obeyHub takes lines until the hub closes.
func (a *agents) obeyHub(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, 0, 4096), event.MaxLine)
	for lines.Scan() {
		e, err := event.Parse(lines.Bytes())
		if err == nil {
			err = a.guard.Check(e, time.Now())
		}
		if err == nil {
			err = a.dispatch(ctx, e)
		}
		if err != nil {
			a.log.Warn("agents: event refused: "+err.Error(), "object", e.Object, "action", e.Action)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("closed")
}
