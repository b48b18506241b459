package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// streams are a session's, on this side.
type streams struct {
	in       io.Reader // nil: none
	out, err io.Writer
	silence  time.Duration // the longest that the jail may say and take nothing; 0: for ever
}

// runInside runs a command in a jail, without a terminal, and returns its exit
// code. The end of ctx ends the session.
func runInside(ctx context.Context, site jail.Site, vnode string, argv []string, s streams) (int, error) {
	conn, err := connect(ctx, site)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	start := startOf(argv, "root", false)
	if err := supervise.Call(conn, supervise.Request{Verb: supervise.VerbEnter, VNode: vnode, Start: &start}, func(supervise.Reply) {}); err != nil {
		return 0, err
	}
	out := &frameWriter{conn: conn}
	if s.in != nil {
		go out.stdin(&taken{s.in, conn, s.silence}) // ends with the input, or with the connection
	} else {
		_ = out.send(console.TypeStdinEOF, nil) // a broken session shows at the reader
	}
	code, err := receive(conn, s)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return code, err
}

// taken is an input whose reader, who has passed on what was before, counts the
// jail's silence anew.
type taken struct {
	io.Reader
	conn    net.Conn
	silence time.Duration
}

// Read implements [io.Reader].
func (t *taken) Read(p []byte) (int, error) {
	if t.silence > 0 {
		_ = t.conn.SetReadDeadline(time.Now().Add(t.silence)) // fails for a connection that is closed
	}
	return t.Reader.Read(p)
}

// mustRun says clearly of a jail that doesn't run that it doesn't; what its
// disk holds is shown by a running jail only.
func mustRun(site jail.Site, vnode, name string) error {
	r, err := site.Load(vnode)
	switch {
	case err != nil:
		return jail.ErrNoJail
	case r.Phase == jail.Up:
		return nil
	case r.Phase == jail.Down:
		return fmt.Errorf("%s is halted (%s); what is on its disk is shown when it runs: jailsetup boot %s", name, r.Ended, name)
	}
	return fmt.Errorf("%s doesn't run: it is %s", name, r.Phase)
}

// errSilent says that a jail has said nothing for too long.
var errSilent = errors.New("the jail says nothing any more")

// receive copies what comes out of the jail until its last frame.
func receive(conn net.Conn, io streams) (int, error) {
	for {
		if io.silence > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(io.silence))
		}
		f, err := console.ReadFrame(conn)
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return 0, errSilent
		}
		if err != nil {
			return 0, fmt.Errorf("session broke off: %w", err)
		}
		switch f.Type {
		case console.TypeStdout:
			_, err = io.out.Write(f.Payload)
		case console.TypeStderr:
			_, err = io.err.Write(f.Payload)
		case console.TypeExit:
			return exitOf(f)
		}
		if err != nil {
			return 0, err
		}
	}
}

func exitOf(f console.Frame) (int, error) {
	var exit console.Exit
	if err := json.Unmarshal(f.Payload, &exit); err != nil {
		return 0, fmt.Errorf("exit status: %w", err)
	}
	if exit.Error != "" {
		return 0, errors.New(printable(exit.Error))
	}
	return exit.Code & 0xff, nil
}

// maxComplaints bounds, in bytes, what the jail's programs may say beside what is
// asked of them.
const maxComplaints = 1 << 20

// bounded is an output that ends in an error after so many bytes: a jail can't
// fill what it is written to.
type bounded struct {
	w    io.Writer
	left int64
}

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errors.New("the jail says more than is believed")
	}
	b.left -= int64(len(p))
	return b.w.Write(p)
}
