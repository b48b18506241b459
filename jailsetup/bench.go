package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/measure"
	"emujail/jailsetup/removal"
)

// benchDir is told to the process in the namespaces; it names the measurement's
// directory.
const benchDir = "JAILSETUP_BENCH_DIR"

func newBenchCommand() *cobra.Command {
	var asJSON bool
	names, about := measure.Names()
	var list strings.Builder
	for _, n := range names {
		fmt.Fprintf(&list, "  %-12s %s\n", n, about[n])
	}
	cmd := &cobra.Command{
		Use:   "bench [FIGURE…]",
		Short: "measure what jails cost on this host",
		Long: `bench measures, on a testbed of its own with a tmcd-mock, in a network of its own,
and prints a line a figure: its name, its value, what is promised, ok or short,
after what it was made from. Jails of this host go on running; they and all else
that runs make the figures worse. Without FIGURE all are taken, in some twenty
minutes:

` + list.String() + `
runc and iperf3, the peers, are to be installed. Exit code 1 if a figure is
short. Environment: ` + benchDir + ` is what bench tells the part of itself
that runs in that network.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return errNotRoot
			}
			for _, a := range args {
				if about[a] == "" {
					return usageError{fmt.Errorf("bench: no figure %q (there are: %s)", a, strings.Join(names, ", "))}
				}
			}
			if len(args) == 0 {
				args = names
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if dir := os.Getenv(benchDir); dir != "" {
				return bench(ctx, dir, args, asJSON, cmd.OutOrStdout())
			}
			return benchApart(ctx)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, a line a figure")
	return cmd
}

// benchApart runs this command line again in network and mount namespaces of
// its own: what it takes for the host goes with them.
func benchApart(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "jb") // short: paths of unix sockets lie below it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removal.Tree(dir)) }()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it clears up
	cmd.Env = append(os.Environ(), benchDir+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Setpgid: true}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exitError{max(exit.ExitCode(), 1)} // it has said why
	}
	return err
}

func bench(ctx context.Context, dir string, names []string, asJSON bool, w io.Writer) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring up the loopback: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	short := 0
	err = measure.Take(ctx, measure.Options{Programs: filepath.Dir(self), Dir: dir}, names, func(f measure.Figure) {
		if !f.Holds() {
			short++
		}
		printFigure(w, f, asJSON)
	})
	if err == nil && short > 0 {
		err = fmt.Errorf("%d of %d figures are short of what is promised", short, len(names))
	}
	return err
}

func printFigure(w io.Writer, f measure.Figure, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(w).Encode(f)
		return
	}
	for _, note := range f.Notes {
		fmt.Fprintln(w, "#", note)
	}
	word := "ok"
	if !f.Holds() {
		word = "short"
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) + f.Unit }
	fmt.Fprintln(w, f.Name, number(f.Value), number(f.Limit), word)
}
