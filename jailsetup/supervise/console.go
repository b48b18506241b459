package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/peer"
)

// Limits of the console: what waits, and how long anybody is waited for.
const (
	maxWaiting   = 4
	helloTimeout = 2 * time.Second
	enterTimeout = 5 * time.Second // for the jail's init to dial
	writeTimeout = 30 * time.Second
	leaveTimeout = 10 * time.Second // for the jail's init to end a session whose verb is gone
)

// consoles are one jail's: its init dials ahead, one connection waits for the
// next session.
type consoles struct {
	listener *net.UnixListener
	waiting  chan peer.Conn
	open     context.Context // until it is closed
	finish   context.CancelFunc
}

func newConsoles(l *net.UnixListener) *consoles {
	ctx, finish := context.WithCancel(context.Background())
	return &consoles{listener: l, waiting: make(chan peer.Conn, maxWaiting), open: ctx, finish: finish}
}

func (c *consoles) close() error {
	err := c.listener.Close()
	c.finish()
	c.drop()
	return err
}

// drop closes what waits.
func (c *consoles) drop() {
	for {
		select {
		case w := <-c.waiting:
			w.Close()
		default:
			return
		}
	}
}

// accept takes in connections until the listener closes. Too many push out the
// oldest: whoever in the jail may reach the socket can't fill memory.
func (c *consoles) accept(log *slog.Logger) {
	peer.Serve(c.open, c.listener, func(err error) { log.Warn("console not accepted", "error", err) }, c.keep)
}

func (c *consoles) keep(w peer.Conn) {
	for {
		select {
		case c.waiting <- w:
			if c.open.Err() != nil { // closed meanwhile: nobody else may drop it
				c.drop()
			}
			return
		default:
		}
		select {
		case old := <-c.waiting:
			old.Close()
		default:
		}
	}
}

// take waits for a connection that the jail's init, and nobody else, has made.
// The pid is held against that of the jail's first process, which the supervisor
// has pinned: no other can have it.
func (c *consoles) take(pid int) (net.Conn, error) {
	deadline := time.NewTimer(enterTimeout)
	defer deadline.Stop()
	for {
		select {
		case w := <-c.waiting:
			if w.PID == pid && hello(w) == nil {
				return w, nil
			}
			w.Close()
		case <-deadline.C:
			return nil, errors.New("the jail's init doesn't answer (is it busy, or has jail root stopped it?)")
		}
	}
}

// hello reads the frame that injail begins with.
func hello(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	f, err := console.ReadFrame(c)
	if err != nil {
		return err
	}
	if f.Type != console.TypeHello {
		return fmt.Errorf("first frame is %s", f.Type)
	}
	return c.SetReadDeadline(time.Time{})
}

// session passes frames between a verb and a jail's init until either ends. A
// frame's length is checked, its words are the terminal's business.
func session(verb, jail net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		relay(jail, verb)
		halfClose(jail)
		_ = jail.SetReadDeadline(time.Now().Add(leaveTimeout)) // an init that won't hear is left
	})
	both.Go(func() {
		relay(verb, jail)
		verb.Close()
	})
	both.Wait()
	jail.Close()
}

func relay(to, from net.Conn) {
	for {
		f, err := console.ReadFrame(from)
		if err != nil {
			return
		}
		if err := to.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return
		}
		if err := console.WriteFrame(to, f); err != nil {
			return
		}
	}
}

// halfClose tells injail that the verb is gone; it then ends the session.
func halfClose(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
}
