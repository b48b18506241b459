package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/lab"
	"emujail/jailsetup/supervise"
)

func newUpCommand() *cobra.Command {
	var files string
	cmd := &cobra.Command{
		Use:   "up FILE",
		Short: "boot every vnode of a testbed file, with a tmcd of its own",
		Long: `up is a testbed on one host, by one command: it starts a tmcd-mock that serves
FILE on the host's control address, boots every vnode of the file, waits until
they have configured themselves, says how to get in, and lets the experiments'
time start: their schedules run. While it is up, the
other verbs find it without --site, and a change of FILE is served at once.

The file's host must have an address of the control network's plan, such as
172.16.1.0; its jails are .1 to .254.`,
		Example: `  jailsetup up two-nodes.yaml --files tarballs
  jailsetup enter node-a
  jailsetup down`,
		Args: exactly(1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			err := up(ctx, args[0], files, cmd.OutOrStdout())
			if ctx.Err() != nil {
				err = errors.New("up was interrupted: jailsetup down removes what there is by now")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&files, "files", "", "serve tarballs and packages from below `DIR`")
	return cmd
}

func newDownCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "remove what up has made",
		Long: `down kills the vnodes, ends supervisor and tmcd-mock, and removes their files; if
nothing is up, that is as well. What boots meanwhile is waited for and removed.
If something is mounted among their files, down says so and ends nothing.
What people have left in their projects' local stores, /local/PROJECT, is kept,
and named: the next lab's vnodes find it.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error { return down(cmd.Context(), cmd.OutOrStdout()) },
	}
}

// theLab is the host's one lab, made of the programs beside this one.
func theLab() (lab.Lab, error) {
	if os.Geteuid() != 0 {
		return lab.Lab{}, errNotRoot
	}
	self, err := os.Executable()
	if err != nil {
		return lab.Lab{}, err
	}
	return lab.Lab{Dir: lab.DefaultDir, Bin: filepath.Dir(self)}, nil
}

func up(ctx context.Context, file, files string, w io.Writer) (err error) {
	l, err := theLab()
	if err != nil {
		return err
	}
	t, err := l.Read(ctx, file)
	if err != nil {
		return err
	}
	if err := l.Make(ctx, t); err != nil {
		if errors.Is(err, lab.ErrUp) {
			return err
		}
		return errors.Join(err, l.Remove())
	}
	s := &settings{sitePath: l.SitePath()}
	site, err := s.site()
	if err != nil {
		return errors.Join(err, l.Remove())
	}
	conn, err := connect(ctx, site)
	if err != nil {
		return errors.Join(err, l.Remove())
	}
	conn.Close()
	if err := l.Serve(ctx, t, file, files); err != nil {
		return errors.Join(err, down(context.WithoutCancel(ctx), os.Stderr))
	}
	var tasks []task
	for _, v := range t.VNodes {
		tasks = append(tasks, task{supervise.VerbBoot, v.ID})
	}
	admit(site, len(tasks), os.Stderr)
	booted := doAll(ctx, site, tasks, io.Discard)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	states, err := awaitUp(ctx, l, site, t)
	if err := errors.Join(err, describe(w, t, states)); err != nil {
		return errors.Join(booted, err)
	}
	tellFailures(ctx, site, t, states)
	return errors.Join(booted, s.startTime(ctx, l, t, states))
}

// tellFailures says on standard error what vnodes that are up couldn't do of
// their configuration. All together have as long as one has elsewhere: what they
// don't tell now is for `status` to tell.
func tellFailures(ctx context.Context, site jail.Site, t lab.Testbed, states map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	for _, v := range t.VNodes {
		if states[v.ID] != "ISUP" || ctx.Err() != nil {
			continue
		}
		if st, err := statusOf(ctx, site, v.ID); err == nil {
			fmt.Fprint(os.Stderr, failures(st, v.Name))
		}
	}
}

// failures is a line about failed steps of a vnode, if there are some. Of what
// the jail says it has two numbers only.
func failures(st vnodeStatus, name string) string {
	if st.Inside == nil || st.Inside.Failures() == 0 {
		return ""
	}
	return fmt.Sprintf("jailsetup: %d of %d steps of %s's configuration failed (jailsetup status %s tells which; up --files serves what tarballs name)\n",
		st.Inside.Failures(), len(st.Inside.Steps), name, name)
}

// startTime lets time start, and the schedule run, in each experiment whose
// vnodes are all up; it complains of the others.
func (s *settings) startTime(ctx context.Context, l lab.Lab, t lab.Testbed, states map[string]string) error {
	plans, err := l.Schedules(ctx)
	if err != nil {
		return err
	}
	late := map[string][]string{} // an experiment's vnodes that are not up
	for _, v := range t.VNodes {
		late[v.Experiment] = append([]string{}, late[v.Experiment]...)
		if states[v.ID] != "ISUP" {
			late[v.Experiment] = append(late[v.Experiment], v.Name)
		}
	}
	var errs []error
	for _, x := range slices.Sorted(maps.Keys(late)) {
		if names := late[x]; len(names) > 0 {
			errs = append(errs, fmt.Errorf("%s: not up: %s (jailsetup status NODE says why)", x, strings.Join(names, ", ")))
			continue
		}
		plan := plans[x]
		errs = append(errs, s.tellEvent(ctx, io.Discard, supervise.EventRequest{Experiment: x, Schedule: &plan, Start: true}))
	}
	return errors.Join(errs...)
}

// configureTimeout is how long vnodes may configure themselves: a minute, and
// two seconds each.
func configureTimeout(n int) time.Duration { return time.Minute + time.Duration(n)*2*time.Second }

// awaitUp waits until each vnode that runs is ISUP or has failed, or time is up.
func awaitUp(ctx context.Context, l lab.Lab, site jail.Site, t lab.Testbed) (map[string]string, error) {
	late := time.After(configureTimeout(len(t.VNodes)))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		states, err := l.States(ctx)
		if err != nil {
			return nil, err
		}
		jails, err := supervise.List(site)
		if err != nil {
			return states, err
		}
		runs := map[string]bool{}
		for _, j := range jails {
			runs[j.VNode] = j.Alive || j.Desired == jail.Running // perhaps it reboots
		}
		settled := 0
		for _, v := range t.VNodes {
			if s := states[v.ID]; s == "ISUP" || s == "TBFAILED" || !runs[v.ID] {
				settled++
			}
		}
		if settled == len(t.VNodes) {
			return states, nil
		}
		select {
		case <-tick.C:
		case <-late:
			return states, nil // what they are is shown
		case <-ctx.Done():
			return states, nil
		}
	}
}

// describe prints the vnodes and how to get in.
func describe(w io.Writer, t lab.Testbed, states map[string]string) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NODE\tVNODE\tEXPERIMENT\tADDRESS\tSTATE")
	for _, v := range t.VNodes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", v.Name, v.ID, v.Experiment, v.Addr, states[v.ID])
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(t.VNodes) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nTo get in: %s. To end: jailsetup down.\n", waysIn(t.VNodes[0]))
	return err
}

// waysIn are commands that lead into a vnode. A jail that is made anew has new
// host keys, so ssh isn't to remember them. Of users without key or password
// none can come by ssh.
func waysIn(v lab.VNode) string {
	enter := "jailsetup enter " + v.Name
	if v.SSH == "" || v.Addr == "" {
		return enter
	}
	return fmt.Sprintf("%s, or ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null %s@%s from this host", enter, v.SSH, v.Addr)
}

func down(ctx context.Context, w io.Writer) error {
	l, err := theLab()
	if err != nil {
		return err
	}
	if err := l.Removable(); err != nil {
		return err // before anything is ended
	}
	if _, err := os.Stat(l.SitePath()); errors.Is(err, fs.ErrNotExist) {
		return l.Remove() // nothing, or half made: no supervisor was started
	}
	s := &settings{sitePath: l.SitePath()}
	site, err := s.site()
	if err != nil {
		return err
	}
	if _, err := stop(ctx, site, true); err != nil { // its logs go with the lab
		return err
	}
	stores, err := site.Stores()
	if err != nil {
		return err
	}
	for _, path := range stores {
		fmt.Fprintf(w, "kept: %s\n", path)
	}
	return l.Remove()
}
