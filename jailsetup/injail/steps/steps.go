// Package steps configures a jail from inside: what Emulab's rc.injail and
// rc.config do, as a table of steps (table.go), a file each.
//
//	injail rc boot        asks tmcd once, runs the steps in order, reports ISUP
//	injail rc reconfig    shutdown, asks anew, boot
//	injail rc shutdown    backwards: ends what the steps have started
//	injail rc reset       backwards: removes what the steps have written
//	injail update         asks anew and runs steps in a node that is up (update.go)
//
// A step is a value with a name and a function for each action. It gets a
// *Run: the jail (Node: paths, configuration, tmcd) and the place for what it
// has to say. It reads its records from the jail's cache of one fullconfig
// (config.go), compares what is wanted with its own small database of what it
// did before, does the difference, and writes the database last. So a second
// run changes nothing, and what failed is tried again by the next.
//
// A step that fails is seen: in the summary at the end of boot, in
// /var/emulab/logs/boot.log and boot.json (summary.go), and if the step is
// fatal as booterrno, bootlog and TBFAILED at tmcd (fatal.go). ISUP is reported
// only when no fatal step failed.
//
// Everything a step touches lies below Node.Root, so tests run the whole road
// in a directory. Users of the jail may write in their homes and in
// /local/logs: there the steps open below a descriptor (os.Root) and follow no
// link. tmcd is trusted for what it asks, not for how it spells it: names and
// fields are checked before they become lines of other files.
//
// See docs/spec/jail.md §3.3 to §3.11.
package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"emujail/protocol"
)

// Action is what all steps are asked to do.
type Action string

// The actions of jail.md §3.11.
const (
	Boot     Action = "boot"
	Shutdown Action = "shutdown"
	Reconfig Action = "reconfig"
	Reset    Action = "reset"
	// Refresh is boot for a node that is up: no state is reported.
	Refresh Action = "refresh"
)

// Step is one part of the configuration.
type Step struct {
	Name    string
	Service string // what Emulab's manifest calls it
	Fatal   bool   // the node isn't up without it
	// What to do for an action; nil: nothing. boot must be idempotent.
	boot, shutdown, reset func(context.Context, *Run) error
}

// Run is one step at work.
type Run struct {
	*Node
	Result *Result
	out    io.Writer
}

// skipped is how a step says that there was nothing for it to do.
type skipped string

func (s skipped) Error() string { return string(s) }

// unless is skipped for that reason, but for an error.
func unless(err error, why string) error {
	if err != nil {
		return err
	}
	return skipped(why)
}

// warn notes something wrong that the step went on after.
func (r *Run) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Result.Warnings = append(r.Result.Warnings, text)
	fmt.Fprintf(r.out, "%s: %s: warning: %s\n", r.now().Format(clock), r.Result.Step, text)
}

// lacks notes what the experiment asks for and this node can't give.
func (r *Run) lacks(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Result.Missing = append(r.Result.Missing, text)
	fmt.Fprintf(r.out, "%s: %s: not provided: %s\n", r.now().Format(clock), r.Result.Step, text)
}

// warnAll notes each of several joined errors.
func (r *Run) warnAll(err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			r.warnAll(e)
		}
		return
	}
	r.warn("%v", err)
}

// did notes a change that was made.
func (r *Run) did(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.Result.Changes = append(r.Result.Changes, text)
	fmt.Fprintf(r.out, "%s: %s: %s\n", r.now().Format(clock), r.Result.Step, text)
}

// say prints progress.
func (r *Run) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%s: %s: %s\n", r.now().Format(clock), r.Result.Step, fmt.Sprintf(format, args...))
}

const clock = "15:04:05.000"

// errFree ends the boot of a node that belongs to nobody: quietly, without ISUP.
var errFree = errors.New("the node is free")

// run does an action with the steps, in order for boot, backwards else. Only
// boot stops at a fatal failure.
func (n *Node) run(ctx context.Context, a Action, steps []Step, sum *Summary) error {
	forwards := a == Boot || a == Refresh
	if !forwards {
		steps = slices.Clone(steps)
		slices.Reverse(steps)
	}
	var fatal error
	var rules *protocol.Manifest
	for _, s := range steps {
		f := map[Action]func(context.Context, *Run) error{
			Boot: s.boot, Refresh: s.boot, Shutdown: s.shutdown, Reset: s.reset}[a]
		if s.Service != "" && rules == nil { // the configuration is there by now
			m, err := n.loadManifest()
			if err != nil {
				return err
			}
			rules = &m
		}
		if f != nil && s.Service != "" {
			s, f = governed(s, *rules, a, f)
		}
		if f == nil {
			continue
		}
		err := n.one(ctx, s, f, sum)
		if errors.Is(err, errFree) || errors.Is(err, errReboot) {
			return err
		}
		if err != nil && s.Fatal && fatal == nil {
			fatal = fmt.Errorf("%s: %w", s.Name, err)
			if forwards {
				return fatal
			}
		}
	}
	return fatal
}

// one runs a step and files its result.
func (n *Node) one(ctx context.Context, s Step, f func(context.Context, *Run) error, sum *Summary) error {
	res := &Result{Step: s.Name, Status: OK}
	r := &Run{Node: n, Result: res, out: n.Out}
	begin := n.now()
	err := f(ctx, r)
	res.MS = float64(n.now().Sub(begin).Microseconds()) / 1000
	var skip skipped
	switch {
	case errors.As(err, &skip):
		res.Status, res.Why, err = Skipped, string(skip), nil
	case errors.Is(err, errFree), errors.Is(err, errReboot):
		res.Status, res.Why = Skipped, err.Error()
	case err != nil:
		res.Status, res.Why = Failed, err.Error()
		fmt.Fprintf(n.Out, "%s: %s: failed: %v\n", n.now().Format(clock), s.Name, err)
	}
	sum.Steps = append(sum.Steps, *res)
	return err
}

func (n *Node) now() time.Time { return time.Now() }
