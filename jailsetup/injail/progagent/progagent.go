// Package progagent runs the programs of an experiment in a jail: those that
// events start and stop (`tmcc programs`), and the start-up command.
//
//	set := progagent.New(progagent.Options{Etc: "/etc", LogDir: "/local/logs", Finished: …})
//	set.Update(programs, env)
//	err := set.Deliver(ctx, event.Event{Object: "prog0", Type: event.Program, Action: "START"})
//	set.Close()                                  // TERM, a moment, KILL
//
// A program runs as the swapper, with all its groups, in a session of its own,
// by /bin/sh, in its directory (else the home), with the experiment's
// environment. START of one that runs is an error; STOP and KILL go to its
// whole process group. A time-out ends it like STOP.
//
// What it prints is kept in LogDir/NAME.out and NAME.err, up to a limit each
// (output.go); how it ended is NAME.status, one line of JSON (type Outcome),
// and a call of Options.Finished.
//
// The command is the experimenter's own word and runs with the experimenter's
// rights in the experimenter's jail: nothing of it is checked. Users can write
// in LogDir: files there are opened without following links.
// See docs/spec/jail.md §3.8.
package progagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

// Options say where things are. Etc and LogDir must be set.
type Options struct {
	Etc    string // directory of passwd and group
	LogDir string // for outputs
	Logger *slog.Logger
	// Finished is told how a program ended, from a goroutine of the set's. It may
	// take its time, and call the set.
	Finished func(Outcome)
	Grace    time.Duration // between TERM and KILL; 0: DefaultGrace
}

// DefaultGrace is how long a program may take to end after TERM.
const DefaultGrace = 2 * time.Second

// Outcome is how a run of a program ended.
type Outcome struct {
	Name     string    `json:"name"`
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Exit     int       `json:"exit"` // 128 and the signal's number, if that ended it
	TimedOut bool      `json:"timed_out,omitempty"`
	Expected bool      `json:"expected"`        // Exit is the expected one
	Error    string    `json:"error,omitempty"` // it couldn't be started at all
}

// Errors of Deliver.
var (
	ErrObject  = errors.New("no such program here")
	ErrAction  = errors.New("not an action of a program")
	ErrRunning = errors.New("the program runs already")
	ErrIdle    = errors.New("the program doesn't run")
	ErrClosed  = errors.New("the programs have ended")
)

// Command is what a program is.
type Command struct {
	User    string        // login
	Dir     string        // empty: the user's home
	Text    string        // for /bin/sh -c
	Timeout time.Duration // 0: none
	Expect  int           // exit code
}

// Set is the programs of one node. Its methods may be called from any goroutine.
type Set struct {
	opt   Options
	drain time.Duration // drainWait

	mu       sync.Mutex
	env      protocol.UserEnv
	programs map[string]*program
	keepers  map[*keeper]bool // of outputs that somebody may still write
	closed   bool
	work     sync.WaitGroup
}

// program is one of them, running or not.
type program struct {
	name string
	cmd  Command
	run  *running // nil: not running
}

// New makes an empty set.
func New(o Options) *Set {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Finished == nil {
		o.Finished = func(Outcome) {}
	}
	return &Set{opt: o, drain: drainWait, programs: map[string]*program{}, keepers: map[*keeper]bool{}}
}

// Update takes the testbed's list over. A program that runs goes on with what
// it was started with, also when it isn't on the list any more.
func (s *Set) Update(list protocol.Programs, env protocol.UserEnv) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.env = env
	next := map[string]*program{}
	var errs []error
	for _, p := range list.Programs {
		cmd, err := command(list.UID, p)
		if err != nil || !validName(p.Name) {
			errs = append(errs, fmt.Errorf("program %q left out: %w", p.Name, errors.Join(err, nameError(p.Name))))
			continue
		}
		next[p.Name] = &program{name: p.Name, cmd: cmd}
		if old := s.programs[p.Name]; old != nil {
			next[p.Name].run = old.run
		}
	}
	for name, old := range s.programs {
		if next[name] == nil && old.run != nil {
			next[name] = old
		}
	}
	s.programs = next
	return errors.Join(errs...)
}

// command makes the values of a record's words.
func command(user string, p protocol.Program) (Command, error) {
	c := Command{User: user, Dir: p.Dir, Text: p.Command}
	if p.Timeout != "" {
		seconds, err := strconv.ParseFloat(p.Timeout, 64)
		if err != nil || seconds < 0 || seconds > 1e9 {
			return c, fmt.Errorf("TIMEOUT=%s: want seconds", p.Timeout)
		}
		c.Timeout = time.Duration(seconds * float64(time.Second))
	}
	if p.ExpectedExitCode != "" {
		n, err := strconv.Atoi(p.ExpectedExitCode)
		if err != nil {
			return c, fmt.Errorf("EXPECTED_EXIT_CODE=%s: want a number", p.ExpectedExitCode)
		}
		c.Expect = n
	}
	return c, nil
}

// validName says whether a program's name can be a file's.
func validName(s string) bool { return nameError(s) == nil }

func nameError(s string) error {
	if s == "" || s[0] == '.' {
		return errors.New("name: want [-A-Za-z0-9_.]")
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return errors.New("name: want [-A-Za-z0-9_.]")
		}
	}
	return nil
}

// Has says whether the set has a program of that name.
func (s *Set) Has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.programs[name] != nil
}

// Status is what a program is doing.
type Status struct {
	Name    string
	Running bool
}

// Status returns what each program does, in no order.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, p := range s.programs {
		all = append(all, Status{p.name, p.run != nil})
	}
	return all
}

// Deliver carries an event out: START and RUN (begin, with arguments for this
// run), STOP and HALT (TERM, then KILL), KILL (SIGNAL=), MODIFY (arguments for
// later runs). Arguments: COMMAND=, DIR=, TIMEOUT=, EXPECTED_EXIT_CODE=, values
// with spaces in quotes.
func (s *Set) Deliver(_ context.Context, e event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.programs[e.Object]
	if p == nil {
		return fmt.Errorf("%s: %w", e.Object, ErrObject)
	}
	args, err := event.SplitArgs(e.Args)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Object, err)
	}
	switch e.Action {
	case "START", "RUN":
		cmd, err := p.cmd.changed(args)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Object, err)
		}
		return s.start(p, cmd)
	case "MODIFY":
		cmd, err := p.cmd.changed(args)
		if err == nil {
			p.cmd = cmd
		}
		return err
	case "STOP", "HALT", "RESET":
		if p.run == nil {
			return fmt.Errorf("%s: %w", e.Object, ErrIdle)
		}
		p.run.end(s.opt.Grace)
		return nil
	case "KILL":
		return p.kill(args["SIGNAL"])
	}
	return fmt.Errorf("%s: %w", e.Action, ErrAction)
}

// RunOnce runs a command that is no program of the set, under a name of its own:
// the start-up command.
func (s *Set) RunOnce(name string, cmd Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.programs[name]
	if p == nil {
		p = &program{name: name, cmd: cmd}
		s.programs[name] = p
	}
	return s.start(p, cmd)
}

// Close ends all programs and waits for them.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	var ends []<-chan struct{}
	for _, p := range s.programs {
		if p.run != nil {
			p.run.end(s.opt.Grace)
			ends = append(ends, p.run.ended)
		}
	}
	s.mu.Unlock()
	for _, ended := range ends {
		<-ended
	}
	s.mu.Lock()
	for k := range s.keepers {
		k.cutOff()
	}
	s.mu.Unlock()
	s.work.Wait()
}
