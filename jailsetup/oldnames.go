package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// The names under which the testbed's boss and a host's boot scripts have
// always called what is here: links to jailsetup (spec jail.md §2.1, §2.2).
const (
	oldVNodeSetup = "vnodesetup"
	oldBootVNodes = "bootvnodes"
)

// Exit codes that boss reads from vnodesetup.
const (
	codeWedged       = 15 // this host can't make jails
	codeNotAllocated = 99
)

// runOld executes a command line of one of the old names.
func runOld(name string, args []string) int {
	var err error
	if name == oldVNodeSetup {
		err = vnodeSetup(args)
	} else {
		err = bootVNodes(args)
	}
	if err == nil {
		return supervise.CodeOK
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	var usage usageError
	if errors.As(err, &usage) {
		return supervise.CodeUsage
	}
	var failure *supervise.Failure
	if name == oldVNodeSetup && errors.As(err, &failure) {
		switch failure.Code {
		case supervise.CodeHostLacks:
			return codeWedged
		case supervise.CodeNotAllocated:
			return codeNotAllocated
		}
	}
	return supervise.CodeFailed
}

const vnodeSetupUsage = "usage: vnodesetup -j [-V] [-t] [-d] [-b | -r | -h | -k] VNODE"

// letters splits clustered single-letter options, as getopt does, from the
// arguments.
func letters(args []string, known string) (set map[byte]bool, rest []string, err error) {
	set = map[byte]bool{}
	for i, a := range args {
		if a == "--" {
			return set, append(rest, args[i+1:]...), nil
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		for j := 1; j < len(a); j++ {
			if strings.IndexByte(known, a[j]) < 0 {
				return nil, nil, usageError{fmt.Errorf("unknown option -%c", a[j])}
			}
			set[a[j]] = true
		}
	}
	return set, rest, nil
}

// vnodeSetup is the manager's old command line. Without a verb it means a
// fresh set-up: whatever there was is removed first.
func vnodeSetup(args []string) error {
	set, rest, err := letters(args, "jsVpibkrhdt")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, vnodeSetupUsage)
	}
	switch {
	case set['i']:
		return usageError{errors.New("-i: vnodes without a jail are not made here")}
	case set['p']:
		return usageError{errors.New("-p: PlanetLab nodes are not made here")}
	case set['s']:
		return usageError{errors.New("-s: use jailsetup boot, then jailsetup enter")}
	case len(rest) != 1 || !set['j']:
		return usageError{errors.New(vnodeSetupUsage)}
	}
	if err := jail.CheckName(rest[0]); err != nil {
		return usageError{err}
	}
	var verbs []supervise.Verb
	for _, v := range [...]struct {
		letter byte
		verbs  []supervise.Verb
	}{
		{'b', []supervise.Verb{supervise.VerbBoot}},
		{'r', []supervise.Verb{supervise.VerbReboot}},
		{'h', []supervise.Verb{supervise.VerbHalt}},
		{'k', []supervise.Verb{supervise.VerbKill}},
	} {
		if !set[v.letter] {
			continue
		}
		if verbs != nil {
			return usageError{errors.New(vnodeSetupUsage)}
		}
		verbs = v.verbs
	}
	if verbs == nil {
		verbs = []supervise.Verb{supervise.VerbKill, supervise.VerbBoot}
	}
	return doVerbs(verbs, rest[0])
}

func doVerbs(verbs []supervise.Verb, vnode string) error {
	s := &settings{}
	site, err := s.site()
	if err != nil {
		return err
	}
	for _, v := range verbs {
		if err := doOne(context.Background(), site, task{v, vnode}); err != nil {
			return fmt.Errorf("cannot %s %s: %w", v, vnode, err)
		}
	}
	return nil
}

// bootVNodes is the host-wide old command line. It stays in the foreground in
// any case: whoever starts it may put it elsewhere.
func bootVNodes(args []string) error {
	set, rest, err := letters(args, "dfkhrbc")
	if err == nil && len(rest) > 0 {
		err = usageError{fmt.Errorf("unexpected %q", rest[0])}
	}
	if err != nil {
		return fmt.Errorf("%w\nusage: bootvnodes [-d] [-f] [-k | -h | -r | -b | -c]", err)
	}
	opts := hostWide{halt: set['h'], kill: set['k'], reboot: set['r'], reconfig: set['c']}
	var out io.Writer = io.Discard
	if set['d'] {
		out = os.Stdout
	}
	return opts.run(context.Background(), &settings{}, out)
}
