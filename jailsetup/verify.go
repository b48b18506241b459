package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/rootfs"
	"emujail/jailsetup/supervise"
	"emujail/jailsetup/verify"
)

func newVerifyCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify VNODE",
		Short: "hold a running jail against what is promised of it",
		Long: `verify looks at a jail that runs and says of each row of docs/spec/jail.md §5
(S1 to S31) and docs/spec/peers.md §8 (T rows) whether it holds: pass, fail, or
skip with the reason; what was seen, from which side, and the feature of the
kernel that carries it.

It looks from outside: mounts, namespaces, processes, cgroups, filters, modes.
What shows inside only, which system calls are refused, it asks the jail's init
to try, and believes it for nothing else: the jail's root may lie. It changes
nothing, inside or outside. Exit code 1 if a row fails.`,
		Args: exactly(1, "a VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			results, err := s.verify(cmd.Context(), site, args[0])
			if err != nil {
				return fmt.Errorf("cannot verify %s: %w", args[0], err)
			}
			print := printVerified
			if asJSON {
				print = printVerifiedJSON
			}
			if err := print(cmd.OutOrStdout(), results); err != nil {
				return err
			}
			if n := verify.Failed(results); n > 0 {
				return fmt.Errorf("%d rows of %s fail (see above)", n, args[0])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// Bounds of what a jail says of its walls.
const (
	wallsTimeout = 15 * time.Second
	maxWalls     = 64 << 10
)

func (s *settings) verify(ctx context.Context, site jail.Site, name string) ([]verify.Result, error) {
	vnode, err := resolve(site, name)
	if err != nil {
		return nil, err
	}
	if err := mustRun(site, vnode, name); err != nil {
		return nil, err
	}
	all, err := supervise.List(site)
	if err != nil {
		return nil, err
	}
	var record jail.Record
	var others []jail.Record
	for _, j := range all {
		if j.VNode == vnode {
			record = j.Record
		} else {
			others = append(others, j.Record)
		}
	}
	if site.AutoPrefix() {
		var info supervise.Info
		err := s.ask(ctx, supervise.Request{Verb: supervise.VerbInfo}, func(r supervise.Reply) {
			if r.Info != nil {
				info = *r.Info
			}
		})
		if err != nil {
			return nil, err
		}
		site.Control.Prefix = info.Prefix
	}
	masks, err := rootfs.Unreadable("/usr")
	if err != nil {
		return nil, err
	}
	facts, err := verify.Look(site, record, others, masks)
	if err != nil {
		return nil, err
	}
	return verify.Rows(facts, askWalls(ctx, site, vnode)), nil
}

// askWalls has the jail try what it can't do.
func askWalls(ctx context.Context, site jail.Site, vnode string) verify.Inside {
	said, err := askInside(ctx, site, ask{vnode: vnode, argv: []string{"/run/emulab/bin/injail", "walls"}, timeout: wallsTimeout, most: maxWalls})
	if err == nil && said.code != 0 {
		err = fmt.Errorf("injail walls ended with %d", said.code)
	}
	if err != nil {
		return verify.Inside{Err: err}
	}
	came, err := verify.ParseInside(string(said.stdout))
	return verify.Inside{Came: came, Err: err}
}

func printVerified(w io.Writer, results []verify.Result) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	count := map[verify.Outcome]int{}
	for _, r := range results {
		count[r.Outcome]++
		r.Saw = printable(r.Saw)
		fmt.Fprintln(t, r.Line())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d fail, %d pass, %d skipped\n", count[verify.Fail], count[verify.Pass], count[verify.Skip])
	return err
}

func printVerifiedJSON(w io.Writer, results []verify.Result) error {
	return json.NewEncoder(w).Encode(map[string]any{"rows": results})
}
