package agents

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/trafgen"
)

// Limits of the process's own socket.
const (
	controlTimeout = 10 * time.Second
	maxControl     = 32 // connections at once
)

// statusAction asks what the agents do; it is no event's.
const statusAction = "STATUS"

// answer is what comes back over the socket for one event line.
type answer struct {
	Error  string           `json:"error,omitempty"`
	Status []trafgen.Status `json:"status,omitempty"`
}

// listen makes the socket, for root only. A dead process's path is in the way
// after a crash, never after a reboot: /run is fresh then. Whether one lives
// is told by its answer to a connect.
func listen(path string) (*net.UnixListener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another agents process is running", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serve answers `injail event` until ctx ends.
func (a *agents) serve(ctx context.Context, l *net.UnixListener) {
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	places := make(chan struct{}, maxControl)
	pause := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		places <- struct{}{}
		conns.Go(func() {
			defer func() { <-places }()
			a.converse(ctx, c)
		})
	}
}

// converse takes one line and gives one back.
func (a *agents) converse(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return
	}
	line, err := bufio.NewReaderSize(c, event.MaxLine).ReadSlice('\n')
	if err != nil {
		return
	}
	var ans answer
	e, err := event.Parse(line)
	switch {
	case err != nil:
	case e.Type == event.Node && e.Action == statusAction:
		ans.Status = a.set.Status()
	default:
		err = a.dispatch(ctx, e)
	}
	if err != nil {
		ans.Error = err.Error()
	}
	_ = json.NewEncoder(c).Encode(ans) // whoever has gone needs no answer
}

// Send hands an event to the agents process that listens at socket, and
// returns its answer.
func Send(ctx context.Context, socket string, e event.Event) error {
	_, err := ask(ctx, socket, e)
	return err
}

// Query returns what the agents at socket do.
func Query(ctx context.Context, socket string) ([]trafgen.Status, error) {
	return ask(ctx, socket, event.Event{Object: "*", Type: event.Node, Action: statusAction})
}

func ask(ctx context.Context, socket string, e event.Event) ([]trafgen.Status, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	deadline := time.Now().Add(controlTimeout)
	if t, ok := ctx.Deadline(); ok && t.Before(deadline) {
		deadline = t
	}
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := c.Write(e.Append(nil)); err != nil {
		return nil, err
	}
	var ans answer
	if err := json.NewDecoder(c).Decode(&ans); err != nil {
		return nil, fmt.Errorf("answer from %s: %w", socket, err)
	}
	if ans.Error != "" {
		return nil, errors.New(ans.Error)
	}
	return ans.Status, nil
}
