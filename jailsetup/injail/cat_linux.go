package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"emujail/jailsetup/injail/tail"
)

// catMain is "injail cat", which "jailsetup logs" runs.
func catMain(args []string) int {
	fs := flag.NewFlagSet("injail cat", flag.ContinueOnError)
	r := tail.Reader{Out: os.Stdout, Report: func(err error) { fmt.Fprintln(os.Stderr, "injail cat:", err) }}
	fs.BoolVar(&r.Follow, "f", false, "go on with what is added")
	fs.IntVar(&r.Lines, "n", 0, "only the last `LINES` of each file")
	fs.SetOutput(io.Discard) // help that was asked for goes elsewhere than errors
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fs.Usage()
		return exitOK
	} else if err != nil {
		return usageError(os.Stderr, "cat: "+err.Error())
	}
	if r.Paths = fs.Args(); len(r.Paths) == 0 {
		return usageError(os.Stderr, "cat: want a PATH")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := r.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "injail cat:", err)
		return exitFailed
	}
	return exitOK
}
