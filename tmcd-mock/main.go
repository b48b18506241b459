// Command tmcd-mock is a tmcd for people who write clients, proxies and node images: it answers what
// Emulab's own tmcd answers, from a testbed in a YAML file, and shows what nodes ask and report.
//
//	tmcd-mock pki certs                        # a CA, a server's and a client's certificate
//	tmcd-mock serve --testbed demo.yaml --pki certs
//	tmcd-mock show                             # nodes, states, last reports
//
// Each verb is a file with one constructor; serve.go puts the parts together (mock.go), the others talk to
// a running server over its management socket. Exit codes: 0 all is well, 1 it failed, 2 usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "tmcd-mock: %v\n", err)
		return exitUsage
	case errors.Is(err, errTold):
		return exitFailed
	}
	fmt.Fprintf(stderr, "tmcd-mock: %v%s\n", err, remedy(err))
	return exitFailed
}

// errTold ends a command that has said already what is wrong.
var errTold = errors.New("failed")

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// remedy is what to do about an error, where that is known.
func remedy(err error) string {
	switch {
	case errors.Is(err, manage.ErrNobody):
		return "; `tmcd-mock serve` starts one, --manage SOCKET names another"
	case errors.Is(err, manage.ErrInUse):
		return "; --manage SOCKET gives this one another place"
	case errors.Is(err, syscall.EADDRINUSE):
		return "; --listen ADDR:PORT takes another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; no interface of this machine has the address"
	}
	return ""
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tmcd-mock",
		Short: "Answer nodes as Emulab's tmcd does, from a testbed in a file",
		Long: `tmcd-mock answers nodes as Emulab's tmcd does (protocol version 40), from a testbed in a YAML file,
keeps what they report, and makes trouble on demand.

Exit codes: 0 all is well, 1 it failed, 2 usage. Environment: XDG_RUNTIME_DIR is where the management socket of
a server without root lies.`,
		Example: `  tmcd-mock pki certs
  tmcd-mock serve --testbed demo.yaml --pki certs
  tmcd-mock show
  tmcd-mock log -f
  tmcd-mock fault add delay command=accounts delay=2s next=3
  tmcd-mock expect "pcvm1-1 ISUP within 60s" "no unknown command"`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("no command %q; `tmcd-mock -h` lists them", args[0])
			}
			return usagef("want a command; `tmcd-mock -h` lists them")
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; `%s -h` shows the options", err, cmd.CommandPath())
	})
	root.AddCommand(commands()...)
	return root
}

// commands is the list of verbs.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(),
		newPKICommand(),
		newShowCommand(),
		newScheduleCommand(),
		newLogCommand(),
		newSetCommand(),
		newFaultCommand(),
		newExpectCommand(),
		newStatusCommand(),
		newReloadCommand(),
		newReplayCommand(),
		newCheckCommand(),
		newImportCommand(),
		newExportCommand(),
	}
}

// args checks the number of arguments; what says them, for the error.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usagef("%s: want %s; `%s -h` shows how", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// manageFlag adds --manage to a command.
func manageFlag(cmd *cobra.Command, at *string) {
	cmd.Flags().StringVar(at, "manage", manage.DefaultSocket(), "management `SOCKET` of the server, or 127.0.0.1:PORT")
}
