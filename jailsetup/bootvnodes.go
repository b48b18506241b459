package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

func newBootVNodesCommand(s *settings) *cobra.Command {
	var opts hostWide
	cmd := &cobra.Command{
		Use:   "bootvnodes",
		Short: "boot, or otherwise change, all vnodes of this host",
		Long: `bootvnodes asks tmcd for this host's vnodes and boots each, in the order of their
numbers. A vnode that fails doesn't stop the others; a list that can't be had
changes nothing.

With --boot, --halt, --kill or --reboot it does that to the vnodes that are on
this host, without asking. With --reconfig the host's vnodes are held against
tmcd's list: those that tmcd has no more are killed, those on both are rebooted,
new ones are booted. With one of the others beside it, that is done to those on
both, and new ones are booted only if it is --boot.

Before --reconfig kills anything tmcd is asked about each vnode that its list
lacks: if it is in an experiment after all, or tmcd says nothing and nothing else
either, the list was cut short and nothing is changed.

How many are built at a time is the site file's to say (boots_at_once).`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, v := range verbLetters {
				if wanted, err := cmd.Flags().GetBool(string(v.verb)); err == nil && wanted {
					opts.verb = v.verb
				}
			}
			return opts.run(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	for _, v := range verbLetters {
		f.Bool(string(v.verb), false, string(v.verb)+" every jail of this host")
	}
	f.BoolVar(&opts.reconfig, "reconfig", false, "compare with tmcd's list: kill, reboot, boot")
	exclusive(cmd, "boot", "halt", "kill", "reboot")
	return cmd
}

// hostWide is one run of bootvnodes.
type hostWide struct {
	verb     supervise.Verb // for the vnodes that are here; empty: what tmcd's list says
	reconfig bool           // against tmcd's list
}

// task is one verb for one vnode.
type task struct {
	verb  supervise.Verb
	vnode string
}

func (o hostWide) run(ctx context.Context, s *settings, w io.Writer) error {
	site, err := s.site()
	if err != nil {
		return err
	}
	here, err := site.List()
	if err != nil {
		return err
	}
	var now lists
	if o.verb == "" || o.reconfig {
		if now, err = o.ask(ctx, site, here); err != nil {
			return fmt.Errorf("cannot list this host's vnodes: %w (nothing was changed)", err)
		}
	}
	tasks := o.tasks(here, now)
	admit(site, jailsAfter(here, tasks), os.Stderr)
	return doAll(ctx, site, tasks, w)
}

// jailsAfter is how many jails there will be.
func jailsAfter(here []string, tasks []task) int {
	n := len(here)
	for _, t := range tasks {
		switch {
		case t.verb == supervise.VerbKill:
			n--
		case !slices.Contains(here, t.vnode):
			n++
		}
	}
	return n
}

// lists are what tmcd says of this host's vnodes.
type lists struct{ wanted, gone []string }

// tasks decides what is done to whom, in the order of the vnodes' numbers.
func (o hostWide) tasks(here []string, now lists) []task {
	all := func(verb supervise.Verb, names []string) (list []task) {
		for _, n := range names {
			list = append(list, task{verb, n})
		}
		return list
	}
	switch {
	case !o.reconfig && o.verb != "":
		return all(o.verb, here)
	case !o.reconfig:
		return all(supervise.VerbBoot, now.wanted)
	}
	var list []task
	for _, n := range here {
		switch {
		case slices.Contains(now.wanted, n):
			list = append(list, task{cmp.Or(o.verb, supervise.VerbReboot), n})
		case slices.Contains(now.gone, n):
			list = append(list, task{supervise.VerbKill, n})
		}
	}
	if o.verb != "" && o.verb != supervise.VerbBoot {
		return list
	}
	for _, n := range now.wanted {
		if !slices.Contains(here, n) {
			list = append(list, task{supervise.VerbBoot, n})
		}
	}
	return list
}

// ask asks tmcd, as this host, for its jailed vnodes, and, where some are to be
// killed, which of those here are its no more.
func (o hostWide) ask(ctx context.Context, site jail.Site, here []string) (now lists, err error) {
	tmcd, err := jail.FindTmcd(ctx, site, slog.New(slog.DiscardHandler))
	if err != nil {
		return now, err
	}
	if now.wanted, err = tmcd.VNodes(ctx); err == nil && o.reconfig {
		now.gone, err = tmcd.Gone(ctx, now.wanted, here)
	}
	return now, err
}

// atOnce bounds the verbs under way, where the site doesn't say; the supervisor has
// a bound of its own on those that build.
const atOnce = 8

// doAll does the tasks, in order, several at once. Each that fails is told;
// the rest go on.
func doAll(ctx context.Context, site jail.Site, tasks []task, w io.Writer) error {
	building, ending := make(chan struct{}, cmp.Or(site.BootsAtOnce, atOnce)), make(chan struct{}, atOnce)
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for _, t := range tasks {
		slots := ending
		if builds(t.verb) {
			slots = building
		}
		slots <- struct{}{}
		hear := begin(ctx, site, t) // here, not beside the others: in order
		group.Go(func() {
			defer func() { <-slots }()
			err := hear()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("cannot %s %s: %w", t.verb, t.vnode, err))
				return
			}
			fmt.Fprintf(w, "%s %s: ok\n", t.verb, t.vnode)
		})
	}
	group.Wait()
	if len(failed) > 0 {
		// In words only: the exit code of one vnode's failure is not that of all.
		return fmt.Errorf("%d of %d vnodes failed: %v", len(failed), len(tasks), errors.Join(failed...))
	}
	return nil
}

func doOne(ctx context.Context, site jail.Site, t task) error { return begin(ctx, site, t)() }

// begin asks the supervisor for a verb; hear is to be called, and tells how it ended.
func begin(ctx context.Context, site jail.Site, t task) (hear func() error) {
	conn, err := connect(ctx, site)
	if err != nil {
		return func() error { return err }
	}
	req := supervise.Request{Verb: t.verb, VNode: t.vnode}
	err = supervise.Send(conn, req)
	return func() error {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		if err != nil {
			return err
		}
		return supervise.Hear(conn, req, func(supervise.Reply) {})
	}
}
