package agents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/progagent"
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
	pause, told := firstRedial, ""
	for ctx.Err() == nil {
		c, err := a.dialHub(ctx)
		if err == nil {
			a.log.Info("agents: hub connected")
			a.upstream.open(c, a.subscription)
			err, pause, told = a.obeyHub(ctx, c), firstRedial, ""
			a.upstream.close()
		}
		// No such socket is the rule on a host without a hub: not worth a line.
		quiet := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || ctx.Err() != nil
		if !quiet && err.Error() != told {
			told = err.Error()
			a.log.Warn("agents: hub: " + told)
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
			err = a.judge(e)
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

// subscribe tells the hub anew whose events are wanted here.
func (a *agents) subscribe() { a.upstream.send(a.subscription) }

// subscription tells the hub whose events are wanted here, and what they are.
func (a *agents) subscription() said {
	var names []string
	for _, g := range a.generators.Status() {
		names = append(names, g.Name+"="+event.TrafGen)
	}
	for _, p := range a.programs.Status() {
		if p.Name == startup {
			continue // no event's object, and there or not by when it was run
		}
		names = append(names, p.Name+"="+event.Program)
	}
	experiment, key := a.credentials()
	return said{event.Event{Experiment: experiment, Object: "*", Type: event.Node, Action: "SUBSCRIBE",
		Args: strings.Join(names, " ")}, key}
}

// credentials are what an event of ours is made with.
func (a *agents) credentials() (experiment string, key []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.Experiment, a.guard.Key
}

// upstream is the connection to the hub, for what an agent has to say.
type upstream struct {
	mu     sync.Mutex
	conn   net.Conn
	sender uint64
	seq    uint64
}

// said is an event of ours and the key that it is signed with. What is said is asked
// for when it is its turn: the configuration may have changed while it waited.
type said struct {
	event event.Event
	key   []byte
}

// open takes a connection over and says the first thing on it: what agents have
// to say meanwhile comes after.
func (u *upstream) open(c net.Conn, first func() said) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = c
	u.write(first())
}

// close lets go of the connection; whoever opened it closes it.
func (u *upstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = nil
}

// send hands an event to the hub, if there is one: what nobody listens to is
// lost, as events are.
func (u *upstream) send(what func() said) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		u.write(what())
	}
}

// write signs and sends. The lock is held.
func (u *upstream) write(s said) {
	if u.sender == 0 {
		u.sender = rand.Uint64()
	}
	u.seq++
	e := s.event
	e.Time, e.Seq, e.Sender = time.Now(), u.seq, u.sender
	if err := u.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return
	}
	if _, err := u.conn.Write(e.Sign(s.key).Append(nil)); err != nil {
		u.conn.Close() // obeyHub sees it and dials again
	}
}

// complete tells the experiment that a program has ended.
func (a *agents) complete(o progagent.Outcome) {
	failed := 0
	if !o.Expected {
		failed = 1
	}
	a.upstream.send(func() said {
		experiment, key := a.credentials()
		return said{event.Event{Experiment: experiment, Object: o.Name, Type: event.Program, Action: "COMPLETE",
			Args: fmt.Sprintf("ERROR=%d EXIT=%d", failed, o.Exit)}, key}
	})
}
