// Package session is the inner end of "jailsetup enter": it dials the host's
// console socket from inside the jail and runs what the host asks for, as a
// user of the jail, on a terminal or on pipes made inside. Frames and their
// order are package console's.
//
//	c := session.Client{Path: "/run/emulab/console", Hello: …, Reaper: r}
//	c.Run(ctx)                      // in PID 1, until ctx ends
//
// dial_linux.go connects again and again, serve_linux.go carries one session
// from START to EXIT, start_linux.go makes the process, user.go and command.go
// decide on values who and what that is.
//
// Trust: the host is believed; everything in the jail's tree is jail root's
// and only ever used with the rights that the session has anyway. The other
// way round the host believes nothing (package console).
package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/reap"
)

// Waits between two attempts to connect: doubled from the first to the last.
const (
	redialFirst = 200 * time.Millisecond
	redialLast  = time.Second
)

// maxSessions run at once; the next one dials when one of them ends.
const maxSessions = 128

// Client serves sessions that the host asks for.
type Client struct {
	// Path is the host's console socket.
	Path string
	// Hello is sent first on each connection.
	Hello console.Hello
	// Reaper starts the processes; somebody must call its Collect.
	Reaper *reap.Reaper
	// Root is where the jail's /etc lies; empty in a jail.
	Root string
	// Report hears, in one line each, of sessions that ended in trouble; nil:
	// nobody does.
	Report func(error)
}

// Run dials and serves until ctx ends, then hangs up on all sessions, waits
// for them and returns. A session takes a few seconds at most to end.
func (c *Client) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, maxSessions)
	wait := redialFirst
	for ctx.Err() == nil {
		conn, start, err := c.next(ctx)
		if err != nil {
			sleep(ctx, wait)
			wait = min(2*wait, redialLast)
			continue
		}
		wait = redialFirst
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := c.serve(ctx, conn, start); err != nil && c.Report != nil {
				c.Report(err)
			}
		})
	}
}

// next connects, says hello and waits for a START, however long that takes.
func (c *Client) next(ctx context.Context) (*os.File, console.Start, error) {
	var s console.Start
	conn, err := dial(c.Path)
	if err != nil {
		return nil, s, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	f, err := greet(conn, c.Hello)
	if err == nil {
		err = console.Decode(f, console.TypeStart, &s)
	}
	if err != nil {
		return nil, s, errors.Join(err, conn.Close())
	}
	return conn, s, nil
}

func greet(conn *os.File, h console.Hello) (console.Frame, error) {
	f, err := console.Encode(console.TypeHello, h)
	if err != nil {
		return f, err
	}
	if err := console.WriteFrame(conn, f); err != nil {
		return f, err
	}
	return console.ReadFrame(conn)
}

// dial connects to a unix stream socket. Package net would do, and double the
// size of PID 1.
func dial(path string) (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
