package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/supervise"
)

// change describes a verb that changes one vnode.
type change struct {
	verb        supervise.Verb
	traced      bool // it can print its steps as JSON
	short, long string
}

func newChangeCommand(s *settings, c change) *cobra.Command {
	var opts struct{ dryRun, verbose, trace bool }
	cmd := &cobra.Command{
		Use:   string(c.verb) + " VNODE",
		Short: c.short,
		Long:  c.long,
		Args:  exactly(1, "one VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := jail.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			site, err := s.site()
			if err != nil {
				return err
			}
			vnode, err := resolve(site, args[0])
			if err != nil {
				return err
			}
			conn, err := connect(cmd.Context(), site)
			if err != nil {
				return err
			}
			defer conn.Close()
			req := supervise.Request{Verb: c.verb, VNode: vnode, DryRun: opts.dryRun}
			var steps []plan.Event
			err = supervise.Call(conn, req, func(r supervise.Reply) {
				printLine(cmd.OutOrStdout(), r, opts.dryRun || opts.verbose && !opts.trace)
				if r.Step != nil {
					steps = append(steps, *r.Step)
					printNote(cmd.ErrOrStderr(), *r.Step, opts.verbose || opts.trace)
				}
			})
			if opts.trace && !opts.dryRun {
				if err := printTrace(cmd.OutOrStdout(), jail.NewTrace(vnode, steps, err)); err != nil {
					return err
				}
			}
			if err != nil {
				if len(steps) > 0 && !opts.verbose {
					fmt.Fprintf(cmd.ErrOrStderr(), "last steps:\n%s", jail.Tail(steps))
				}
				return fmt.Errorf("cannot %s %s: %w", c.verb, args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&opts.dryRun, "dry-run", "n", false, "print what would be done and do nothing")
	cmd.Flags().BoolVarP(&opts.verbose, "verbose", "v", false, "print each step with the time it took")
	if c.traced {
		cmd.Flags().BoolVar(&opts.trace, "trace", false, "print, as JSON, each step with its start, duration and outcome")
	}
	return cmd
}

func printTrace(w io.Writer, t jail.Trace) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(t)
}

func printLine(w io.Writer, r supervise.Reply, wanted bool) {
	if wanted && r.Line != "" {
		fmt.Fprintln(w, r.Line)
	}
}

// printNote tells what the jail will lack, to those who don't see each step.
func printNote(w io.Writer, e plan.Event, seen bool) {
	if e.Outcome == plan.Noted && !seen {
		fmt.Fprintf(w, "jailsetup: note: %s\n", printable(e.Step))
	}
}
