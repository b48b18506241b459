package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"emujail/jailsetup/event"
	"emujail/jailsetup/hub"
	"emujail/jailsetup/supervise"
)

type eventOptions struct {
	at       float64
	schedule string
	start    bool
	watch    bool
}

func newEventCommand(s *settings) *cobra.Command {
	var o eventOptions
	cmd := &cobra.Command{
		Use:   "event EXPERIMENT [OBJECT ACTION [KEY=VALUE…]]",
		Short: "tell an object of an experiment to do something",
		Long: `event tells a traffic generator or a program of an experiment what to do, through
the host's event hub, and prints the vnodes that it was handed to. OBJECT is a
name from the topology, or a group's. EXPERIMENT is PID/EID, or EID if one
experiment of this host is called so.

Of a traffic generator: START, STOP, MODIFY, RESET, with PACKETSIZE (bytes), RATE
(kbit/s), INTERVAL (seconds), IPTOS. Of a program: START, STOP, KILL, MODIFY, with
COMMAND, DIR, TIMEOUT, EXPECTED_EXIT_CODE, SIGNAL.

A schedule is JSON: events at seconds, args in one string, and names for groups of
objects. A group is told as its objects are.

  {"events": [{"at": 1.5, "object": "cbr0", "action": "START", "args": "RATE=500"},
              {"at": 10, "object": "all", "action": "STOP"}],
   "groups": {"all": ["cbr0", "cbr1"]}}

It runs from the experiment's start of time, which --start is. After "jailsetup up"
time starts by itself, once all vnodes are up.`,
		Example: `  jailsetup event jails/demo cbr0 START RATE=1000 PACKETSIZE=500
  jailsetup event jails/demo --at 90 cbr0 STOP
  jailsetup event jails/demo --schedule plan.json --start
  jailsetup event jails/demo --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := eventRequest(args, o, cmd.Flags().Changed("at"))
			if err != nil {
				return usageError{fmt.Errorf("event: %w (jailsetup event --help)", err)}
			}
			if req.Schedule, err = readSchedule(o.schedule); err != nil {
				return err
			}
			return s.tellEvent(cmd.Context(), cmd.OutOrStdout(), req)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&o.at, "at", 0, "not now but `SECONDS` after the experiment's start of time")
	f.StringVar(&o.schedule, "schedule", "", "set the schedule from `FILE`, - for standard input")
	f.BoolVar(&o.start, "start", false, "let the experiment's time start, now")
	f.BoolVar(&o.watch, "watch", false, "print the experiment's events until interrupted")
	return cmd
}

// eventRequest makes of the command line what the supervisor is asked.
func eventRequest(args []string, o eventOptions, at bool) (supervise.EventRequest, error) {
	var req supervise.EventRequest
	if len(args) == 0 {
		return req, errors.New("want an EXPERIMENT, such as jails/demo")
	}
	req.Experiment, req.Start, req.Watch = args[0], o.start, o.watch
	if err := hub.CheckName(req.Experiment); err != nil {
		return req, err
	}
	switch {
	case len(args) == 2:
		return req, errors.New("want OBJECT and ACTION")
	case len(args) == 1 && at:
		return req, errors.New("--at: want OBJECT and ACTION")
	case len(args) == 1 && o.schedule == "" && !o.start && !o.watch:
		return req, errors.New("want OBJECT and ACTION, --schedule, --start or --watch")
	case len(args) > 1 && o.watch:
		return req, errors.New("--watch: want nothing but an EXPERIMENT")
	case len(args) > 2:
		req.Object, req.Action, req.Args = args[1], strings.ToUpper(args[2]), event.JoinArgs(args[3:])
	}
	if at {
		req.At = &o.at
	}
	return req, nil
}

// tellEvent asks the supervisor and prints what comes of it.
func (s *settings) tellEvent(ctx context.Context, w io.Writer, req supervise.EventRequest) error {
	site, err := s.site()
	if err != nil {
		return err
	}
	conn, err := connect(ctx, site)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = supervise.Call(conn, supervise.Request{Verb: supervise.VerbEvent, Event: &req}, func(r supervise.Reply) {
		if r.Event != nil {
			printEvent(w, *r.Event)
		}
		if len(r.To) > 0 {
			fmt.Fprintf(w, "%s %s: handed to %s\n", req.Object, req.Action, strings.Join(r.To, " "))
		}
	})
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return nil
}

// printEvent shows one event; a jail may have sent it.
func printEvent(w io.Writer, e event.Event) {
	from := e.From
	if from == "" {
		from = "operator"
	}
	fmt.Fprintln(w, e.Time.Format("15:04:05.000"), from, printable(e.Object), printable(e.Action), printable(e.Args))
}
