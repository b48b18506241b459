package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/shape"
)

// Verb is what a client asks for.
type Verb string

// The verbs.
const (
	VerbBoot      Verb = "boot"
	VerbSetup     Verb = "setup"
	VerbHalt      Verb = "halt"
	VerbReboot    Verb = "reboot"
	VerbKill      Verb = "kill"
	VerbList      Verb = "list"
	VerbEnter     Verb = "enter"
	VerbHostPorts Verb = "hostports"
	VerbInfo      Verb = "info"
	VerbProxy     Verb = "proxy"
	VerbShape     Verb = "shape"
	VerbEvent     Verb = "event"
	VerbStop      Verb = "stop"
)

// Request is one JSON object on a line, the first thing on a connection.
type Request struct {
	Verb   Verb           `json:"verb"`
	VNode  string         `json:"vnode,omitempty"`
	DryRun bool           `json:"dry_run,omitempty"`
	Start  *console.Start `json:"start,omitempty"`  // enter
	Add    []string       `json:"add,omitempty"`    // hostports: tcp/N, udp/N
	Remove []string       `json:"remove,omitempty"` // hostports
	Clean  bool           `json:"clean,omitempty"`  // stop: remove the control network too
	Event  *EventRequest  `json:"event,omitempty"`
	Shape  *ShapeRequest  `json:"shape,omitempty"` // shape
}

// Reply is one JSON object on a line; a request gets several, the last with
// Done. After Ready, the answer to enter, the connection carries console frames
// both ways and no more lines.
type Reply struct {
	Line  string         `json:"line,omitempty"` // progress, for people
	Step  *plan.Event    `json:"step,omitempty"` // the same, for programs
	Jails []JailInfo     `json:"jails,omitempty"`
	Ports []string       `json:"ports,omitempty"`
	Info  *Info          `json:"info,omitempty"`
	Links []shape.Status `json:"links,omitempty"`
	Ready bool           `json:"ready,omitempty"`

	To    []string     `json:"to,omitempty"`    // event: the vnodes that it was handed to
	Event *event.Event `json:"event,omitempty"` // event: one that is watched

	Proxy *ProxyStatus `json:"proxy,omitempty"`

	Done    bool   `json:"done,omitempty"`
	Code    int    `json:"code,omitempty"` // the verb's exit code
	Error   string `json:"error,omitempty"`
	Unknown bool   `json:"unknown,omitempty"` // tmcd knows no such vnode: it may be the name of one
}

// JailInfo is one line of list.
type JailInfo struct {
	jail.Record
	Alive bool `json:"alive"`
}

// Info says what the supervisor settled at its start.
type Info struct {
	Prefix  string `json:"prefix"`  // of the control network
	Host    string `json:"host"`    // the host's address on it
	Gateway string `json:"gateway"` // the jails' router
	Proxy   int    `json:"proxy"`   // pid of the proxy; 0: none at the moment
	PID     int    `json:"pid"`     // the supervisor's own
}

// Exit codes of the verbs (design §5).
const (
	CodeOK           = 0
	CodeFailed       = 1
	CodeUsage        = 2
	CodeHostLacks    = 3
	CodeNotAllocated = 4
	CodeServed       = 5 // of serve alone: another supervisor serves this host
)

// maxRequestBytes bounds a request's line: a schedule is long.
const maxRequestBytes = 32 << 20

// Failure is a verb that the supervisor could not do.
type Failure struct {
	Code    int
	Text    string
	Unknown bool // tmcd knows no vnode of this id on this host
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// ErrNotServed says that no supervisor answers at the site's socket: there is
// no socket, or nobody listens at it.
var ErrNotServed = errors.New("no supervisor runs (boot, enter and other verbs that need one start it)")

// Dial connects to the site's supervisor.
func Dial(ctx context.Context, s jail.Site) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", s.ServeSocket())
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotServed
	case err != nil:
		return nil, fmt.Errorf("reach the supervisor: %w", err)
	}
	return c, nil
}

// Call sends the request over c and gives each reply to each until the last,
// whose failure it returns. After [VerbEnter] c is at the frames that follow;
// after another verb it may have been read ahead, and is used up.
func Call(c net.Conn, req Request, each func(Reply)) error {
	if err := Send(c, req); err != nil {
		return err
	}
	return Hear(c, req, each)
}

// Send is the first half of [Call]: requests that are sent one after another are
// taken in that order.
func Send(c net.Conn, req Request) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if _, err := c.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	return nil
}

// Hear is the second half of [Call].
func Hear(c net.Conn, req Request, each func(Reply)) error {
	var lines io.Reader = c
	if req.Verb != VerbEnter {
		lines = bufio.NewReader(c)
	}
	for {
		r, err := readReply(lines)
		if err != nil {
			return fmt.Errorf("hear from the supervisor: %w", err)
		}
		switch {
		case r.Done && r.Error != "":
			return &Failure{Code: r.Code, Text: r.Error, Unknown: r.Unknown}
		case r.Done:
			each(r)
			return nil
		}
		each(r)
		if r.Ready {
			return nil
		}
	}
}

// maxReplyBytes bounds one reply's line: the list of a full host.
const maxReplyBytes = 4 << 20

// readReply reads one line, byte by byte, and none beyond.
func readReply(lines io.Reader) (Reply, error) {
	var r Reply
	line := make([]byte, 0, 512)
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(lines, one); err != nil {
			return r, err
		}
		if one[0] == '\n' {
			return r, json.Unmarshal(line, &r)
		}
		if line = append(line, one[0]); len(line) > maxReplyBytes {
			return r, bufio.ErrTooLong
		}
	}
}
