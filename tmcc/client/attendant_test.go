package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// attendant is a writer whose Sent waits until all is said at the other end.
type attendant struct {
	bytes.Buffer
	said <-chan struct{}
	sent int
	done []io.Closer
}

func (a *attendant) Sent()            { a.sent++; <-a.said }
func (a *attendant) Done(c io.Closer) { a.done = append(a.done, c) }

// What was said, and how it ended, is heard by who comes late: a reset is told
// once, and isn't taken for an end. Who asks keeps the connection of a whole
// answer, and of that only.
func TestLateAttendant(t *testing.T) {
	for name, row := range map[string]struct {
		say  func(net.Conn) string
		want string
		err  error
	}{
		"an answer":                {answer("ALLOCATED=a/b\n"), "ALLOCATED=a/b\n", nil},
		"nothing":                  {answer(""), "", nil},
		"more than one piece":      {answer(string(bytes.Repeat([]byte("long\n"), 1000))), string(bytes.Repeat([]byte("long\n"), 1000)), nil},
		"a reset after some bytes": {reset("ADDUSER LOGIN=a"), "ADDUSER LOGIN=a", syscall.ECONNRESET},
		"a reset at once":          {reset(""), "", syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			p := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) string {
				defer close(said)
				defer c.Close()
				return row.say(c)
			})
			c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port()), Timeout: time.Minute}) // a clock, as the proxy has
			out := &attendant{said: said}
			err := c.Stream(within(t), status(), out)
			if !errors.Is(err, row.err) || out.String() != row.want {
				t.Errorf("Stream = %.100q, %v; want %.100q, %v", out.String(), err, row.want, row.err)
			}
			if row.err == nil && len(out.done) != 1 || row.err != nil && len(out.done) != 0 || out.sent != 1 {
				t.Errorf("sent %d times, handed over %d connections", out.sent, len(out.done))
			}
			for _, c := range out.done {
				c.Close()
			}
		})
	}
}
