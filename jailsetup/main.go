// Command jailsetup builds, boots, reconfigures and ends the jails of a host.
//
// Its verbs are clients of one supervisor, `jailsetup serve`, which they start
// when it isn't there. See docs/man/jailsetup.1 and docs/design.md.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"emujail/jailsetup/check"
	"emujail/jailsetup/network"
	"emujail/jailsetup/supervise"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case oldVNodeSetup, oldBootVNodes:
		os.Exit(runOld(name, os.Args[1:]))
	}
	os.Exit(run(os.Args[1:]))
}

// run executes one command line and returns its exit code.
func run(args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return supervise.CodeOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code // the command inside has said what there is to say
	}
	fmt.Fprintf(os.Stderr, "jailsetup: %s\n", oneLine(err))
	return codeOf(err)
}

// oneLine is an error of which causes may have been joined.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// codeOf is the exit code that an error means.
func codeOf(err error) int {
	var failure *supervise.Failure
	var usage usageError
	var lack *check.LackError
	var crowd *check.CrowdError
	var conflict *network.ConflictError
	switch {
	case errors.Is(err, supervise.ErrServed):
		return supervise.CodeServed
	case errors.As(err, &lack), errors.As(err, &crowd), errors.As(err, &conflict):
		return supervise.CodeHostLacks
	case errors.As(err, &failure):
		return failure.Code
	case errors.As(err, &usage):
		return supervise.CodeUsage
	}
	return supervise.CodeFailed
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

// exitError carries the exit code of a command that ran in a jail.
type exitError struct{ code int }

// Error implements error; nobody prints it.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }
