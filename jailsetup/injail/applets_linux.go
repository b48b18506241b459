package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// applet is a command that this file is when it is called by another name.
// The host's own reboot and the like are systemd's and talk to a systemd that
// a jail doesn't have; links in /usr/local/sbin come first in root's PATH.
type applet func(args []string) int

func appletNamed(name string) (applet, bool) {
	switch name {
	case "reboot":
		return func(args []string) int { return leave(request{word: name, order: sigReboot}, args) }, true
	case "halt":
		return func(args []string) int { return leave(request{word: name, order: sigHalt}, args) }, true
	case "poweroff":
		return func(args []string) int { return leave(request{word: name, order: sigPowerOff}, args) }, true
	case "shutdown":
		return shutdown, true
	}
	return nil, false
}

// request is what reboot, halt, poweroff and shutdown come down to.
type request struct {
	word  string
	order syscall.Signal
	force bool          // at once, nobody asked to end
	after time.Duration // wait in the foreground first
}

// errHelp asks for the usage text.
var errHelp = errors.New("help")

func leave(r request, args []string) int {
	r, err := parseLeave(r, args)
	return carryOut(r, err, "usage: "+r.word+" [-f] [-p]\n  -f  at once, without ending the processes first\n  -p  power off (of halt)\n")
}

// parseLeave reads the options of reboot, halt and poweroff. What only matters
// to a machine (-d, -n, -w, wall messages) is accepted and does nothing.
func parseLeave(r request, args []string) (request, error) {
	for _, a := range args {
		switch a {
		case "-f", "--force", "-ff":
			r.force = true
		case "-p", "--poweroff":
			r.order = sigPowerOff
		case "--halt":
			r.order = sigHalt
		case "--reboot":
			r.order = sigReboot
		case "-d", "--no-wtmp", "-n", "--no-sync", "--no-wall", "-i", "-h":
		case "--help":
			return r, errHelp
		case "-w", "--wtmp-only":
			return r, fmt.Errorf("%s: keeping records only is not supported", a)
		default:
			return r, fmt.Errorf("unknown option %q", a)
		}
	}
	return r, nil
}

func shutdown(args []string) int {
	r, err := parseShutdown(args, time.Now())
	return carryOut(r, err, "usage: shutdown [-h|-P|-H|-r] [--no-wall] [now|+MINUTES|HH:MM] [MESSAGE…]\n  -h, -P  power off (default)   -H  halt   -r  reboot\n  without a time: in one minute; it waits in the foreground, interrupt to cancel\n")
}

// parseShutdown reads shutdown's options; now is needed for times of the day.
func parseShutdown(args []string, now time.Time) (request, error) {
	r := request{word: "shutdown", order: sigPowerOff}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-h", "-P", "--poweroff":
			r.order = sigPowerOff
		case "-H", "--halt":
			r.order = sigHalt
		case "-r", "--reboot":
			r.order = sigReboot
		case "-f", "-F", "--no-wall", "-k":
			if args[0] == "-k" {
				return r, errors.New("-k: there is nobody to warn only")
			}
		case "-c":
			return r, errors.New("-c: a shutdown that waits is cancelled by interrupting it")
		case "--help":
			return r, errHelp
		default:
			return r, fmt.Errorf("unknown option %q", args[0])
		}
		args = args[1:]
	}
	when := "+1"
	if len(args) > 0 {
		when = args[0]
	}
	var err error
	r.after, err = parseWhen(when, now)
	return r, err
}

// parseWhen reads now, +MINUTES or HH:MM, which is today or tomorrow.
func parseWhen(s string, now time.Time) (time.Duration, error) {
	if s == "now" {
		return 0, nil
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "+")); err == nil && n >= 0 && n <= 365*24*60 {
		return time.Duration(n) * time.Minute, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("time %q: want now, +MINUTES or HH:MM", s)
	}
	at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location())
	if at.Before(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(now), nil
}

// carryOut waits and gives the order to PID 1.
func carryOut(r request, err error, help string) int {
	switch {
	case errors.Is(err, errHelp):
		io.WriteString(os.Stdout, help)
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n%s", r.word, err, help)
		return exitUsage
	}
	if r.after > 0 {
		fmt.Printf("%s: in %v; interrupt to cancel\n", r.word, r.after.Round(time.Second))
		time.Sleep(r.after)
	}
	if err := r.send(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", r.word, err)
		return exitFailed
	}
	return exitOK
}

// forceWait is how long PID 1 may take to leave at once.
const forceWait = 2 * time.Second

// send tells PID 1; with force also the kernel, if PID 1 doesn't obey.
func (r request) send() error {
	order := r.order
	if r.force {
		order += atOnce
	}
	err := unix.Kill(1, order)
	if errors.Is(err, unix.EPERM) {
		return errors.New("only root may do this")
	}
	if err != nil || !r.force {
		return err
	}
	time.Sleep(forceWait) // it ends with PID 1
	return fmt.Errorf("reboot(2): %w", unix.Reboot(orderOf(r.order).how))
}
