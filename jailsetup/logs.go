package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
)

// Where a jail logs, inside.
const (
	consoleLog = "/var/log/console.log"
	systemLogs = "/var/log/"
	emulabLogs = "/var/emulab/logs"
	localLogs  = "/local/logs"
)

// Bounds of what a jail says when its logs are asked for.
const (
	logsSilence = 30 * time.Second
	maxLogs     = 256 << 20 // bytes of logs that are not followed
)

func newLogsCommand(s *settings) *cobra.Command {
	var o logs
	cmd := &cobra.Command{
		Use:   "logs VNODE [NAME]",
		Short: "show what a vnode's jail logs",
		Long: `logs shows the jail's console log, what its configuration and agents log in
/var/emulab/logs, and what its programs log in /local/logs; or of all those,
and of /var/log, only what is called NAME (NAME.log, NAME.debug, NAME.out):

  jailsetup logs node-a console
  jailsetup logs -f node-a boot

The jail reads them itself: a link in place of a log is named, not followed, a
fifo is not waited for. Control characters are shown as \xNN.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("logs: want a VNODE and at most one NAME (jailsetup logs --help)")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			if o.lines < 0 {
				return usageError{errors.New("logs: want --lines from 0 on")}
			}
			o.argv, err = o.command(args[1:])
			if err != nil {
				return usageError{err}
			}
			if err := o.show(cmd, site, args[0]); err != nil {
				return fmt.Errorf("cannot show logs of %s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what is added, until interrupted")
	cmd.Flags().IntVarP(&o.lines, "lines", "n", 100, "show the last `N` lines of each; 0: all")
	cmd.Flags().BoolVar(&o.raw, "raw", false, "pass the bytes on as they are, whatever a terminal makes of them")
	return cmd
}

type logs struct {
	follow bool
	lines  int
	raw    bool
	argv   []string // what runs inside
}

// command is what reads the logs, inside.
func (o logs) command(names []string) ([]string, error) {
	argv := []string{"/run/emulab/bin/injail", "cat", "-n", fmt.Sprint(o.lines)}
	if o.follow {
		argv = append(argv, "-f")
	}
	argv = append(argv, "--")
	if len(names) == 0 {
		return append(argv, consoleLog, emulabLogs, localLogs), nil
	}
	name := names[0]
	if name == "" || strings.ContainsAny(name, "/\x00") || name == ".." {
		return nil, fmt.Errorf("logs: NAME %q: want a file's name, without its directory", name)
	}
	for _, dir := range [...]string{systemLogs, emulabLogs + "/", localLogs + "/"} {
		for _, suffix := range [...]string{"", ".log", ".debug", ".out"} {
			argv = append(argv, dir+name+suffix)
		}
	}
	return argv, nil
}

func (o logs) show(cmd *cobra.Command, site jail.Site, name string) error {
	vnode, err := resolve(site, name)
	if err != nil {
		return err
	}
	if err := mustRun(site, vnode, name); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	out, said := &visible{w: cmd.OutOrStdout()}, &visible{w: cmd.ErrOrStderr()}
	defer out.flush()
	defer said.flush()
	io := streams{out: out, err: &bounded{w: said, left: maxComplaints}}
	if o.raw {
		io.out = cmd.OutOrStdout()
	}
	if !o.follow {
		io.out, io.silence = &bounded{w: io.out, left: maxLogs}, logsSilence
	}
	code, err := runInside(ctx, site, vnode, o.argv, io)
	switch {
	case errors.Is(err, context.Canceled):
		return nil // the person has seen enough
	case err != nil:
		return err
	case code != 0:
		return exitError{code} // what was wrong has been said, inside
	}
	return nil
}
