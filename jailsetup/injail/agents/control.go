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
	"emujail/jailsetup/injail/progagent"
	"emujail/jailsetup/injail/trafgen"
)

// Limits of the process's own socket.
const (
	controlTimeout = 10 * time.Second
	maxControl     = 32 // connections at once
)

// Actions for the process itself, in events of type NODE.
const (
	actionStatus = "STATUS" // what do the agents do?
	actionReload = "RELOAD" // the configuration has changed
	actionUp     = "UP"     // the node is up: run the start-up command
)

// Status is what the agents of a jail do.
type Status struct {
	Generators []trafgen.Status   `json:"generators"`
	Programs   []progagent.Status `json:"programs"`
}

// answer is what comes back over the socket for one event line.
type answer struct {
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
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
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
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
	if err == nil {
		ans.Status, err = a.told(ctx, e)
	}
	if err != nil {
		ans.Error = err.Error()
	}
	_ = json.NewEncoder(c).Encode(ans) // whoever has gone needs no answer
}

// told does what the jail's root says.
func (a *agents) told(ctx context.Context, e event.Event) (*Status, error) {
	if e.Type != event.Node {
		return nil, a.dispatch(ctx, e)
	}
	switch e.Action {
	case actionStatus:
		return &Status{a.generators.Status(), a.programs.Status()}, nil
	case actionReload:
		err := a.load()
		a.subscribe()
		return nil, err
	case actionUp:
		return nil, a.up()
	}
	return nil, fmt.Errorf("%s: nothing to be done with the agents", e.Action)
}

// Send hands an event to the agents process that listens at socket, and
// returns its answer.
func Send(ctx context.Context, socket string, e event.Event) error {
	_, err := ask(ctx, socket, e)
	return err
}

// Query returns what the agents at socket do.
func Query(ctx context.Context, socket string) (Status, error) {
	st, err := tell(ctx, socket, actionStatus)
	if err != nil || st == nil {
		return Status{}, err
	}
	return *st, nil
}

// Reload makes the agents at socket read the configuration again.
func Reload(ctx context.Context, socket string) error {
	_, err := tell(ctx, socket, actionReload)
	return err
}

// Up tells the agents at socket that the node is up.
func Up(ctx context.Context, socket string) error {
	_, err := tell(ctx, socket, actionUp)
	return err
}

func tell(ctx context.Context, socket, action string) (*Status, error) {
	return ask(ctx, socket, event.Event{Object: "*", Type: event.Node, Action: action})
}

func ask(ctx context.Context, socket string, e event.Event) (*Status, error) {
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
