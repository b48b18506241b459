package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
)

const (
	// hangupGrace is between SIGHUP and SIGKILL when the host is gone.
	hangupGrace = time.Second
	// quiet is how long output must be still after the command's end: what it
	// wrote itself is in the pipe by then, what its children still write may
	// be cut off.
	quiet = 100 * time.Millisecond
	// afterlife bounds that output, in bytes.
	afterlife = 1 << 20
	// lastWords bounds the wait for a host that doesn't read them.
	lastWords = time.Minute
	// typeAhead is how many STDIN frames wait for a command that doesn't read.
	typeAhead = 16
	// chunk is how much output goes into one frame, at most, in bytes.
	chunk = 32 << 10
)

// live is a running session.
type live struct {
	conn    *os.File
	writing sync.Mutex // a frame at a time
	p       *process
	exited  atomic.Bool
	gone    chan struct{} // closed when the host has hung up
}

// serve carries one session and closes conn. The error is for the log.
func (c *Client) serve(ctx context.Context, conn *os.File, s console.Start) error {
	defer conn.Close()
	p, refusal := c.start(s)
	if p == nil {
		return reply(conn, refusal)
	}
	l := &live{conn: conn, p: p, gone: make(chan struct{})}
	var readers, writers sync.WaitGroup
	readers.Go(l.fromHost)
	for _, out := range l.outputs() {
		writers.Go(func() { l.toHost(out.file, out.kind) })
	}
	l.waitEnd(ctx)
	writers.Wait()
	err := l.farewell()
	p.closeAll()
	conn.Close() // ends fromHost
	readers.Wait()
	return err
}

func reply(conn *os.File, e console.Exit) error {
	f, err := console.Encode(console.TypeExit, e)
	if err != nil {
		return err
	}
	conn.SetWriteDeadline(time.Now().Add(lastWords))
	return console.WriteFrame(conn, f)
}

// farewell sends the exit status, unless nobody is there to hear it.
func (l *live) farewell() error {
	select {
	case <-l.gone:
		return nil
	default:
	}
	if err := reply(l.conn, console.Exit{Code: l.p.Code()}); err != nil {
		return fmt.Errorf("session of process %d: %w", l.p.PID, err)
	}
	return nil
}

// waitEnd returns when the command has ended, and sees to it that it does when
// the host hangs up or the jail goes down.
func (l *live) waitEnd(ctx context.Context) {
	select {
	case <-l.p.Done():
		l.conn.SetWriteDeadline(time.Now().Add(lastWords))
	case <-l.gone:
		l.hangUp()
	case <-ctx.Done():
		l.hangUp()
	}
	l.exited.Store(true)
	for _, out := range l.outputs() {
		out.file.SetReadDeadline(time.Now().Add(quiet))
	}
}

type output struct {
	file *os.File
	kind console.Type
}

func (l *live) outputs() []output {
	if l.p.tty {
		return []output{{l.p.stdout, console.TypeStdout}}
	}
	return []output{{l.p.stdout, console.TypeStdout}, {l.p.stderr, console.TypeStderr}}
}

// toHost copies output until it ends: end of file, the terminal's EIO, silence
// after the command's end, or a host that hung up.
func (l *live) toHost(from *os.File, kind console.Type) {
	buf := make([]byte, chunk)
	left, silent := afterlife, false
	for left > 0 {
		ended := l.exited.Load()
		if ended {
			from.SetReadDeadline(time.Now().Add(quiet))
		}
		n, err := from.Read(buf)
		if n > 0 {
			silent = false
			if l.send(console.Frame{Type: kind, Payload: buf[:n]}) != nil {
				return
			}
			if ended {
				left -= n
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !silent {
			silent = true // the deadline may have passed while the host was slow
			continue
		}
		if err != nil {
			return
		}
	}
}

func (l *live) send(f console.Frame) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	return console.WriteFrame(l.conn, f)
}

// fromHost reads frames until the host hangs up or conn is closed. Input goes
// through a queue, so that a command that doesn't read keeps neither signals
// nor the hang-up from being seen, as long as the queue isn't full.
func (l *live) fromHost() {
	queue := make(chan []byte, typeAhead)
	var feeding sync.WaitGroup
	feeding.Go(func() { l.feed(queue) })
	defer feeding.Wait() // which needs hangUp, which needs gone
	defer close(queue)
	defer close(l.gone)
	for {
		f, err := console.ReadFrame(l.conn)
		if err != nil || l.take(f, queue) != nil {
			return
		}
	}
}

// take acts on one frame. A frame that the host may not send ends the session.
func (l *live) take(f console.Frame, queue chan<- []byte) error {
	switch f.Type {
	case console.TypeStdin:
		if len(f.Payload) == 0 { // says nothing; nil would mean the end
			return nil
		}
		return l.enqueue(f.Payload, queue)
	case console.TypeStdinEOF:
		return l.enqueue(nil, queue)
	case console.TypeWinch:
		var w console.Winch
		if err := console.Decode(f, f.Type, &w); err != nil {
			return err
		}
		if l.p.tty {
			control(l.p.stdin, func(fd int) { resize(fd, w) })
		}
		return nil
	case console.TypeSignal:
		var s console.Signal
		if err := console.Decode(f, f.Type, &s); err != nil {
			return err
		}
		if s.Signal > 0 && s.Signal <= 64 {
			l.signalGroup(unix.Signal(s.Signal))
		}
		return nil
	}
	return fmt.Errorf("unexpected %v", f.Type)
}

// enqueue hands input on; nil means its end. While the queue is full it looks
// for a hang-up itself, since nobody reads the connection then.
func (l *live) enqueue(b []byte, queue chan<- []byte) error {
	select {
	case queue <- b:
		return nil
	default:
	}
	tick := time.NewTicker(redialFirst)
	defer tick.Stop()
	for {
		select {
		case queue <- b:
			return nil
		case <-l.p.Done(): // nobody will read it
			return nil
		case <-tick.C:
			if hungUp(l.conn) {
				return io.EOF
			}
		}
	}
}

// hungUp tells whether the other end is closed, whatever is still unread.
func hungUp(conn *os.File) (gone bool) {
	err := control(conn, func(fd int) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}

// endOfText is what a terminal takes for the end of input (Ctrl-D).
const endOfText = 4

// feed writes input to the command. It ends with the queue, or when the
// command's end is closed; then the rest is thrown away.
func (l *live) feed(queue <-chan []byte) {
	for b := range queue {
		if b == nil && l.p.tty {
			b = []byte{endOfText}
		}
		var err error
		if b == nil {
			err = l.p.stdin.Close()
		} else {
			_, err = l.p.stdin.Write(b)
		}
		if err != nil {
			break
		}
	}
	for range queue {
	}
}

// control runs f with the descriptor of file, which stays open meanwhile.
func control(file *os.File, f func(fd int)) error {
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return c.Control(func(fd uintptr) { f(int(fd)) })
}
