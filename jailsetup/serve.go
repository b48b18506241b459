package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

func newServeCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "run the supervisor of this host's jails",
		Long: `serve holds the jails' sockets, keeps the tmcc proxy alive, watches the jails and
does what the verbs ask for. One runs a host. Ended or killed, it leaves the
jails running; the next one adopts them.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			return supervise.Serve(ctx, site, log)
		},
	}
}

func newStopCommand(s *settings) *cobra.Command {
	var clean bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "end the supervisor",
		Long: `stop ends the supervisor; jails go on running, and the next supervisor adopts
them. With --clean every jail is killed first and all that jails shared is
removed. Of them nothing is left on this host but the supervisor's log and the
proxy's audit log, which say what was done, and what people have put into their
projects' local stores, /local/PROJECT. What is left is named. What somebody on
the host has mounted among their files, or a disk that he has attached, is named
before the first is killed, and all stays as it is.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			kept, err := stop(cmd.Context(), site, clean)
			for _, path := range kept {
				fmt.Fprintf(cmd.OutOrStdout(), "kept: %s\n", path)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&clean, "clean", false, "kill every jail and remove all that jails shared")
	return cmd
}

// stop ends the supervisor. To clean, one is started if there is none: it
// knows the way back. What is kept then is said.
func stop(ctx context.Context, site jail.Site, clean bool) (kept []string, err error) {
	reach := supervise.Dial
	if clean {
		reach = connect
	}
	conn, err := reach(ctx, site)
	if err != nil {
		if errors.Is(err, supervise.ErrNotServed) && !clean {
			return nil, nil
		}
		return nil, err
	}
	defer conn.Close()
	if err := supervise.Call(conn, supervise.Request{Verb: supervise.VerbStop, Clean: clean}, func(supervise.Reply) {}); err != nil {
		return nil, err
	}
	if err := supervise.AwaitEnd(context.WithoutCancel(ctx), site); err != nil || !clean {
		return nil, err
	}
	return supervise.Leave(site)
}
