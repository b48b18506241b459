package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/injail/summary"
	"emujail/jailsetup/jail"
)

const (
	statusTimeout = 10 * time.Second
	bootSummary   = "/var/emulab/logs/boot.json"
)

// vnodeStatus is what `status --json` prints.
type vnodeStatus struct {
	VNode  string           `json:"vnode"`
	Phase  jail.Phase       `json:"phase"`
	Boot   int              `json:"boot"`
	Ended  string           `json:"ended,omitempty"`
	Notes  []string         `json:"notes,omitempty"`  // what the vnode lacks, as the host knows
	Inside *summary.Summary `json:"inside,omitempty"` // in the jail's own words
	Unread string           `json:"unread,omitempty"` // why there are none
}

func newStatusCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status VNODE",
		Short: "show how a vnode has configured itself",
		Long: `status shows what the host knows of a vnode's last boot and, if it runs, the
summary of its configuration: a line a step, with what failed and why. The
summary is the jail's own word; control characters in it appear as \xNN.

The exit code is 1 if a step has failed.`,
		Args: exactly(1, "one VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			vnode, err := resolve(site, args[0])
			if err != nil {
				return err
			}
			st, err := statusOf(cmd.Context(), site, vnode)
			if err != nil {
				return fmt.Errorf("cannot tell the status of %s: %w", args[0], err)
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(st)
			} else {
				err = printStatus(cmd.OutOrStdout(), st)
			}
			if err == nil && st.bad() {
				return exitError{1}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// statusOf collects what host and jail know.
func statusOf(ctx context.Context, site jail.Site, vnode string) (vnodeStatus, error) {
	r, err := site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		return vnodeStatus{}, jail.ErrNoJail
	}
	if err != nil {
		return vnodeStatus{}, err
	}
	st := vnodeStatus{VNode: vnode, Phase: r.Phase, Boot: r.Boot, Ended: r.Ended}
	if st.Notes, err = site.Notes(vnode); err != nil {
		return st, err
	}
	if r.Phase != jail.Up {
		return st, nil
	}
	argv := []string{"/usr/bin/head", "-c", strconv.Itoa(summary.MaxBytes), bootSummary}
	h, err := askInside(ctx, site, ask{vnode: vnode, argv: argv, timeout: statusTimeout, most: summary.MaxBytes})
	if err == nil && h.code != 0 {
		err = errors.New(printable(string(lastLine(h.stderr))))
	}
	if err == nil {
		st.Inside, err = summary.Read(h.stdout)
	}
	if err != nil {
		st.Unread = err.Error()
	}
	return st, nil
}

// bad tells whether something of the vnode isn't as it should be.
func (st vnodeStatus) bad() bool {
	return st.Unread != "" || st.Inside != nil && (st.Inside.Failures() > 0 || st.Inside.Error != "")
}

func printStatus(w io.Writer, st vnodeStatus) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s (boot %d)", st.VNode, st.Phase, st.Boot)
	if st.Ended != "" {
		fmt.Fprintf(&b, ", last: %s", st.Ended)
	}
	b.WriteByte('\n')
	for _, n := range st.Notes {
		fmt.Fprintf(&b, "  note: %s\n", printable(n))
	}
	switch {
	case st.Unread != "":
		fmt.Fprintf(&b, "no summary from inside: %s\n", printable(st.Unread))
	case st.Inside != nil:
		b.WriteString(st.Inside.Text())
		for _, r := range st.Inside.Steps {
			for _, warning := range r.Warnings {
				fmt.Fprintf(&b, "  %s: %s\n", printable(r.Step), printable(warning))
			}
		}
		if st.Inside.Error != "" {
			fmt.Fprintf(&b, "fatal: %s\n", printable(st.Inside.Error))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
