//go:build linux

// Command demo is `make demo`: it sets up a testbed on this host, boots two
// jails of one experiment, and checks what the project promises, one line a
// check with the time it took.
//
//	main.go      options, the order of things, the last line
//	packages.go  what must be installed, and how without starting anything
//	world.go     certificates, tmcd-mock, supervisor: set up and taken down
//	checks.go    the list of checks
//	road.go …    what each check does
//	listing.go   everything of the host that a jail could leave behind
//	inside.go    what this program does when it runs in a jail
//
// It needs root and runs the programs that lie beside it. Each "cannot" it
// checks has its "can": what is refused to one is done by another.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// demoTimeout bounds the whole run, installation apart.
const demoTimeout = 10 * time.Minute

func main() {
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		os.Exit(inside(os.Args[2:]))
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if os.Geteuid() != 0 {
		return errors.New("must be root: jails are made of what only root may do (make demo uses sudo)")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(args) == 1 && args[0] == "clean-host" {
		return cleanHost(ctx)
	}
	if len(args) != 1 {
		return errors.New("usage: demo TESTBED.yaml, or demo clean-host (KEEP=1 leaves the jails running, YES=1 doesn't ask)")
	}
	missing, err := missingPackages()
	if err != nil {
		return err
	}
	keep := os.Getenv("KEEP") == "1"
	announce(missing, keep)
	if err := agree(); err != nil {
		return err
	}
	if err := install(ctx, missing); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	return demonstrate(ctx, args[0], keep)
}

// announce says what will happen.
func announce(missing []string, keep bool) {
	fmt.Println("This makes a small testbed on this host and checks it:")
	fmt.Printf("  installs   %s\n", orNothing(describe(missing)))
	end := "all removed at the end"
	if keep {
		end = "all stays, for you to look around"
	}
	fmt.Printf("  creates    %s and %s (about 20 MB), device emuctl0, two jails; %s\n", stateDir, runDir, end)
	fmt.Println("  takes      less than a minute")
}

// agree asks, unless nobody is there to answer.
func agree() error {
	info, err := os.Stdin.Stat()
	if os.Getenv("YES") == "1" || err != nil || info.Mode()&os.ModeCharDevice == 0 || !isTerminal(os.Stdin) {
		return nil
	}
	fmt.Print("Go on? [Y/n] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return verdict(answer, err)
}

// verdict is nil if the answer is yes.
func verdict(answer string, err error) error {
	if err != nil {
		return errors.New("no answer: nothing done")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "", "y", "yes":
		return nil
	}
	return errors.New("you said no: nothing done")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// demonstrate builds the world, runs the checks, and takes the world down in
// either case.
func demonstrate(ctx context.Context, template string, keep bool) error {
	began := time.Now()
	w, err := newWorld(ctx, template)
	if err != nil {
		return err
	}
	w.keep = keep
	done, err := w.check(ctx)
	if keep && err == nil {
		w.explain()
		fmt.Printf("demo: ok (%d checks, %.1f s; the jails are left running)\n", done, time.Since(began).Seconds())
		return nil
	}
	if err != nil {
		w.showLogs()
	}
	if down := w.takeDown(); down != nil {
		err = errors.Join(err, fmt.Errorf("clean up: %w", down))
	}
	if err != nil {
		return err
	}
	fmt.Println(stays())
	fmt.Printf("demo: ok (%d checks, %.1f s)\n", done, time.Since(began).Seconds())
	return nil
}
