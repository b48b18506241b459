package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/expect"
	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/store"
)

func newExpectCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "expect SENTENCE…",
		Short: "Wait until sentences about nodes and requests are true, or fail",
		Long: `Wait until every sentence is true; fail as soon as one can't become true any more. Each is one argument:

  "NODE STATE [within TIME]"           the node is in the state: BOOTING, TBSETUP, ISUP, SHUTDOWN, TBFAILED, …
  "NODE asks COMMAND [within TIME]"    it has asked, since the server's start, and was answered
  "NODE reports KIND [within TIME]"    it has reported: bootlog, state, startstatus, …
  "no unknown command [for TIME]"      none since the server's start, nor while the others wait
  "no refused request [for TIME]"
  "no failed request [for TIME]"       an answer that the client didn't take
  "no secret over UDP [for TIME]"      no key or password hash in a datagram

NODE may be a pattern: pcvm1-*.`,
		Example: `  tmcd-mock expect "pcvm1-* ISUP within 60s" "no unknown command" "no secret over UDP"`,
		Args:    args(1, -1, "at least one sentence"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []*expect.Expectation
			for _, text := range args {
				e, err := expect.Parse(text)
				if err != nil {
					return usageError{err}
				}
				list = append(list, e)
			}
			return judge(cmd.Context(), manage.Dial(at), list, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	manageFlag(cmd, &at)
	return cmd
}

// judge reads the journal until every expectation is decided, and prints each with its outcome.
func judge(ctx context.Context, client *manage.Client, list []*expect.Expectation, stdout, stderr io.Writer) error {
	nodes, err := client.Nodes(ctx)
	if err != nil {
		return err
	}
	states := map[string]string{}
	for _, n := range nodes.Nodes {
		states[n.ID] = string(n.State)
	}
	for _, e := range list {
		if err := e.Start(states); err != nil {
			return err
		}
	}
	begun := time.Now()
	if err := follow(ctx, client, list, begun); err != nil {
		return err
	}
	failed := false
	for _, e := range list {
		if e.Verdict(time.Since(begun)) == expect.Broken {
			fmt.Fprintf(stderr, "tmcd-mock: not so: %s: %s\n", e.Text, e.Why())
			failed = true
			continue
		}
		fmt.Fprintf(stdout, "ok: %s\n", e.Text)
	}
	if failed {
		return errTold
	}
	return nil
}

// follow feeds events to the expectations. First comes all that the journal has; from then on the clock
// counts too.
func follow(ctx context.Context, client *manage.Client, list []*expect.Expectation, begun time.Time) error {
	next := uint64(0)
	see := func(e store.Event) {
		next = e.Seq + 1
		for _, x := range list {
			x.See(e)
		}
	}
	err := client.Journal(ctx, 0, false, func(e store.Event) bool { see(e); return true })
	for err == nil && !decided(list, time.Since(begun)) {
		part, cancel := context.WithTimeout(ctx, until(list, time.Since(begun)))
		err = client.Journal(part, next, true, func(e store.Event) bool { see(e); return !decided(list, time.Since(begun)) })
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	return err
}

// decided: one is broken, or none is open.
func decided(list []*expect.Expectation, elapsed time.Duration) bool {
	open := false
	for _, e := range list {
		switch e.Verdict(elapsed) {
		case expect.Broken:
			return true
		case expect.Open:
			open = true
		}
	}
	return !open
}

// until is the time to the next moment at which the clock alone decides something.
func until(list []*expect.Expectation, elapsed time.Duration) time.Duration {
	least := time.Hour
	for _, e := range list {
		if left := e.Within - elapsed; e.Verdict(elapsed) == expect.Open {
			least = min(least, left)
		}
	}
	return max(least, time.Millisecond)
}
