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
	var opts changing
	cmd := &cobra.Command{
		Use:   string(c.verb) + " VNODE",
		Short: c.short,
		Long:  c.long,
		Args:  exactly(1, "one VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkWord(args[0]); err != nil {
				return usageError{err}
			}
			site, err := s.site()
			if err != nil {
				return err
			}
			var last attempt
			err = onVNode(cmd.Context(), site, c.verb, args[0], func(id string) (err error) {
				last, err = opts.do(cmd, site, supervise.Request{Verb: c.verb, VNode: id, DryRun: opts.dryRun})
				return err
			})
			if err := opts.show(cmd, last, err); err != nil {
				return err
			}
			if err != nil {
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

// changing is how a change is shown.
type changing struct{ dryRun, verbose, trace bool }

// attempt is what the supervisor has done, so far as it has told.
type attempt struct {
	vnode string // empty: it wasn't asked
	steps []plan.Event
}

// do asks the supervisor and shows what it says as it says it.
func (o changing) do(cmd *cobra.Command, site jail.Site, req supervise.Request) (a attempt, err error) {
	conn, err := connect(cmd.Context(), site)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	a.vnode = req.VNode
	err = supervise.Call(conn, req, func(r supervise.Reply) {
		printLine(cmd.OutOrStdout(), r, o.dryRun || o.verbose && !o.trace)
		if r.Step != nil {
			a.steps = append(a.steps, *r.Step)
			printNote(cmd.ErrOrStderr(), *r.Step, o.verbose || o.trace)
		}
	})
	return a, err
}

// show shows what can be told at the end only.
func (o changing) show(cmd *cobra.Command, a attempt, failed error) error {
	if o.trace && !o.dryRun && a.vnode != "" {
		if err := printTrace(cmd.OutOrStdout(), jail.NewTrace(a.vnode, a.steps, failed)); err != nil {
			return err
		}
	}
	if failed != nil && len(a.steps) > 0 && !o.verbose {
		fmt.Fprintf(cmd.ErrOrStderr(), "last steps:\n%s", jail.Tail(a.steps))
	}
	return nil
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
