//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"emujail/proxy"
	"emujail/tmcc/options"
)

// logMode lets a proxy's log be read by root's group, as the original's.
const logMode = 0o640

// proxyMode is tmcc -proxy, -x and -X: it runs package proxy until TERM or INT,
// and returns the exit code.
func proxyMode(ctx context.Context, m machine, line *options.Line) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := m.serveProxy(ctx, line)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(m.stderr, "tmcc: %v\n%s", err, options.Usage())
		return exitUsage
	case err != nil:
		fmt.Fprintf(m.stderr, "tmcc: %s\n", printable(err.Error()))
		return exitFailed
	}
	return exitOK
}

// A usageError is a command line that only turns out wrong later on.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func (m machine) serveProxy(ctx context.Context, line *options.Line) (err error) {
	log, closeLog, err := openLog(line.LogFile, m.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	m.stderr = log

	o := proxy.Options{
		Path: line.ProxyPath, Inet: line.Inet, VNode: line.VNode,
		Audit: lent{log}, Logger: m.logger(line), Confine: confine(),
	}
	if line.Timeout > 0 {
		o.Deadlines.Progress, o.Deadlines.Datagram = line.Timeout, line.Timeout
	}
	if o.Path == "" && !o.Inet.IsValid() {
		if o.Listeners, o.Control, err = m.inherited(line); err != nil {
			return err
		}
	}
	if o.Control != nil && os.Geteuid() == 0 {
		o.Confine = func() (*os.File, error) { return proxy.Confine(proxy.User, proxy.User) }
	}
	if o.Control == nil {
		if o.Tmcd, err = m.tmcd(ctx, line, o.Logger); err != nil {
			return err
		}
	}
	return proxy.Serve(ctx, o)
}

// lent is a writer that the borrower can't close.
type lent struct{ io.Writer }

// openLog opens the file of -o for appending; without one the log goes to
// standard error.
func openLog(path string, stderr io.Writer) (io.Writer, func() error, error) {
	if path == "" {
		return stderr, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, logMode)
	if err != nil {
		return nil, nil, fmt.Errorf("log file: %w", err)
	}
	return f, f.Close, nil
}
