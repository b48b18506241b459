package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/summary"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// heard is what a command in a jail has said. It is the jail's word: bounded,
// and not fit for a terminal as it is.
type heard struct {
	stdout, stderr []byte
	code           int
}

// ask is a command that a verb runs in a jail.
type ask struct {
	vnode   string
	argv    []string
	timeout time.Duration // in all
	most    int           // bytes of output; what comes after them ends it
}

// errTooMuch says that a jail talks without end.
var errTooMuch = errors.New("it says too much")

// askInside runs a command in a jail, through its init, and collects what it
// says. A jail that doesn't answer, or doesn't stop, is left in time.
func askInside(ctx context.Context, site jail.Site, a ask) (heard, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	conn, err := connect(ctx, site)
	if err != nil {
		return heard{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	req := supervise.Request{Verb: supervise.VerbEnter, VNode: a.vnode, Start: &console.Start{Argv: a.argv, User: "root", Dir: "/"}}
	if err := supervise.Call(conn, req, func(supervise.Reply) {}); err != nil {
		return heard{}, err
	}
	// One that has ended already doesn't take it; what it said is there to read.
	_ = console.WriteFrame(conn, console.Frame{Type: console.TypeStdinEOF})
	h, err := collect(conn, a.most)
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %s", a.timeout)
	}
	return h, err
}

func collect(conn net.Conn, most int) (heard, error) {
	var out, errs bytes.Buffer
	for {
		f, err := console.ReadFrame(conn)
		if err != nil {
			return heard{}, fmt.Errorf("session broke off: %w", err)
		}
		switch f.Type {
		case console.TypeStdout:
			out.Write(f.Payload)
		case console.TypeStderr:
			errs.Write(f.Payload)
		case console.TypeExit:
			var exit console.Exit
			if err := json.Unmarshal(f.Payload, &exit); err != nil {
				return heard{}, fmt.Errorf("exit status: %w", err)
			}
			if exit.Error != "" {
				return heard{}, errors.New(summary.Printable(exit.Error))
			}
			return heard{out.Bytes(), errs.Bytes(), exit.Code & 0xff}, nil
		}
		if out.Len()+errs.Len() > most {
			return heard{}, errTooMuch
		}
	}
}
