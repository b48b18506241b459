//go:build linux

// Command run is the last part of `make examples`: it boots the five testbeds
// below examples/ one after the other, looks whether each does what its file
// says, and prints "NAME: ok".
//
//	main.go      the list; one example from up to down
//	checks.go    what each is looked at for
//	twohosts.go  the one that takes two hosts, made of network namespaces
//
// It needs root and runs the programs that lie beside it. Names on the command
// line choose among the examples. With CI=true, fifty nodes are ten.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"emujail/jailsetup/lab"
)

// exampleTimeout bounds one example.
const exampleTimeout = 10 * time.Minute

// example is one testbed.
type example struct {
	name  string
	files func(ctx context.Context, w *world, dir string) error // puts what the web server serves below dir; nil: nothing
	check func(ctx context.Context, w *world) error             // of a testbed that is up
	run   func(ctx context.Context, w *world) error             // in place of up, check and down
}

func examples() []example {
	return []example{
		{name: "two-nodes", check: checkTwoNodes},
		{name: "shaped-lan", check: checkShapedLAN},
		{name: "software", files: makeTools, check: checkSoftware},
		{name: "two-hosts", run: runTwoHosts},
		{name: "fifty-nodes", check: checkFifty},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := runAll(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "examples: %v\n", err)
		os.Exit(1)
	}
}

func runAll(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: run DIRECTORY [NAME…], DIRECTORY being examples/")
	}
	if os.Geteuid() != 0 {
		return errors.New("must be root: jails are made of what only root may do (make examples uses sudo)")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, name := range args[1:] {
		if !slices.ContainsFunc(examples(), func(e example) bool { return e.name == name }) {
			return fmt.Errorf("no example %q", name)
		}
	}
	for _, e := range examples() {
		if len(args) > 1 && !slices.Contains(args[1:], e.name) {
			continue
		}
		w := &world{bin: filepath.Dir(self), dir: filepath.Join(args[0], e.name), few: os.Getenv("CI") == "true"}
		began := time.Now()
		if err := w.do(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		fmt.Printf("%s: ok (%.1f s)\n", e.name, time.Since(began).Seconds())
	}
	return nil
}

// world is where an example runs.
type world struct {
	bin string // directory of the programs
	dir string // the example's
	few bool   // as few nodes as show the thing
}

// do brings an example up, looks at it, and takes it down whatever it was like.
func (w *world) do(ctx context.Context, e example) (err error) {
	ctx, cancel := context.WithTimeout(ctx, exampleTimeout)
	defer cancel()
	if e.run != nil {
		return e.run(ctx, w)
	}
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(w.dir, "testbed.yaml")
	if e.name == "fifty-nodes" && w.few {
		if file, err = fewer(file, temp, 10); err != nil {
			return err
		}
	}
	args := []string{"up", file}
	if e.files != nil {
		if err := e.files(ctx, w, temp); err != nil {
			return err
		}
		args = append(args, "--files", temp)
	}
	if (lab.Lab{Dir: lab.DefaultDir}).Exists() {
		return fmt.Errorf("%w (jailsetup down removes it)", lab.ErrUp) // somebody else's: it stays
	}
	if _, err := w.jailsetup(ctx, args...); err != nil {
		return errors.Join(err, w.down())
	}
	if err := e.check(ctx, w); err != nil {
		return errors.Join(err, w.down())
	}
	return w.down()
}

func (w *world) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), exampleTimeout)
	defer cancel()
	_, err := w.jailsetup(ctx, "down")
	return err
}

// jailsetup runs one verb and makes its words the error.
func (w *world) jailsetup(ctx context.Context, args ...string) (string, error) {
	return w.output(ctx, filepath.Join(w.bin, "jailsetup"), args...)
}

func (w *world) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s%s", filepath.Base(name), strings.Join(args, " "), err, out, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// enter runs a command in a node.
func (w *world) enter(ctx context.Context, node string, argv ...string) (string, error) {
	return w.jailsetup(ctx, append([]string{"enter", "-T", node}, argv...)...)
}
