package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/lab"
	"emujail/jailsetup/supervise"
)

// settings are what every verb is told.
type settings struct {
	sitePath string
}

// site loads the site file. Every verb needs root: jails are made of what only
// root may do.
//
// Without --site it is the host's own, or, where there is none, that of the
// lab that is up.
func (s *settings) site() (jail.Site, error) {
	if os.Geteuid() != 0 {
		return jail.Site{}, errNotRoot
	}
	if s.sitePath == "" {
		if _, err := os.Stat(jail.DefaultSiteFile); errors.Is(err, fs.ErrNotExist) {
			up := lab.Lab{Dir: lab.DefaultDir}.SitePath()
			if _, err := os.Stat(up); err == nil {
				s.sitePath = up
			}
		}
	}
	return jail.LoadSite(s.sitePath)
}

// connect reaches the supervisor, and starts it first if need be: one that was
// stopped, or killed, is nobody's concern.
func connect(ctx context.Context, site jail.Site) (net.Conn, error) {
	conn, err := supervise.Dial(ctx, site)
	if !errors.Is(err, supervise.ErrNotServed) {
		return conn, err
	}
	return supervise.Spawn(ctx, site)
}

// ask sends a request to the supervisor of the site, which is started if need
// be, and gives its replies to each.
func (s *settings) ask(ctx context.Context, req supervise.Request, each func(supervise.Reply)) error {
	return s.askBy(ctx, connect, req, each)
}

// askRunning is ask of a supervisor that runs already, or fails.
func (s *settings) askRunning(ctx context.Context, req supervise.Request, each func(supervise.Reply)) error {
	return s.askBy(ctx, supervise.Dial, req, each)
}

func (s *settings) askBy(ctx context.Context, reach func(context.Context, jail.Site) (net.Conn, error), req supervise.Request, each func(supervise.Reply)) error {
	site, err := s.site()
	if err != nil {
		return err
	}
	conn, err := reach(ctx, site)
	if err != nil {
		return err
	}
	defer conn.Close()
	return supervise.Call(conn, req, each)
}

var errNotRoot = errors.New("must be root (try: sudo jailsetup …)")

func newRootCommand() *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:   "jailsetup",
		Short: "build, boot and end the jails of this host",
		Long: `jailsetup builds, boots and ends jails: virtual nodes of an Emulab testbed on
this host. What a vnode should be it asks of the testbed's tmcd.

A VNODE goes by its vnode id, or by the name that its experiment gives it: node-a,
or node-a.EXPERIMENT.PROJECT where two have that name. By the names vnodesetup and
bootvnodes, links to it, jailsetup takes the command lines that these always had.

The verbs are clients of one supervisor, "jailsetup serve". Those that need it
start it when it isn't there; list, top, graph and capture do without, and info,
proxy status and stop only look for it.

Exit codes: 0 done, 1 failed, 2 usage, 3 the host lacks something that jails
need, 4 the vnode is not allocated to an experiment, 5 (serve alone) another
supervisor serves this host.

Environment: BOSSNAME names the tmcd to ask where the site file doesn't; TERM is
handed to the command that enter runs.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown verb %q (jailsetup --help lists them)", args[0])}
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&s.sitePath, "site", "", "site `FILE` (default "+jail.DefaultSiteFile+", if it is there)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (%s --help)", flagMistake(err), cmd.CommandPath())}
	})
	root.AddCommand(
		newBootCommand(&s), newSetupCommand(&s), newHaltCommand(&s), newRebootCommand(&s), newKillCommand(&s), newReconfigCommand(&s),
		newListCommand(&s), newEnterCommand(&s), newUpdateCommand(&s), newStatusCommand(&s), newEventCommand(&s), newHostPortsCommand(&s), newShapeCommand(&s),
		newLogsCommand(&s), newCopyCommand(&s), newTopCommand(&s), newGraphCommand(&s), newCaptureCommand(&s), newBenchCommand(),
		newBootVNodesCommand(&s), newUpCommand(), newDownCommand(), newServeCommand(&s), newStopCommand(&s), newInfoCommand(&s), newProxyCommand(&s), newDoctorCommand(&s), newVerifyCommand(&s),
	)
	return root
}

// exclusive lets a command have one of these flags at most.
func exclusive(cmd *cobra.Command, flags ...string) {
	cmd.MarkFlagsMutuallyExclusive(flags...)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.ValidateFlagGroups() != nil { // cobra's own words are of groups
			return usageError{fmt.Errorf("%s: want one of --%s at most (%s --help)", cmd.Name(), strings.Join(flags, ", --"), cmd.CommandPath())}
		}
		return nil
	}
}

// exactly wants n arguments and calls it usage if there are others.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s: want %s, got %d arguments (%s --help)", cmd.Name(), what, len(args), cmd.CommandPath())}
		}
		return nil
	}
}
