package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

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
	code := codeOf(err)
	if code == supervise.CodeUsage {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err) // with the usage below
		return code
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, oneLine(err))
	if name != oldVNodeSetup {
		return code
	}
	switch code {
	case supervise.CodeHostLacks:
		return codeWedged
	case supervise.CodeNotAllocated:
		return codeNotAllocated
	}
	return code
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
	if err := checkWord(rest[0]); err != nil {
		return usageError{err}
	}
	verb, err := oneVerb(set, supervise.VerbSetup)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, vnodeSetupUsage)
	}
	return doVerb(verb, rest[0])
}

// verbLetters are the verbs of both names.
var verbLetters = [...]struct {
	letter byte
	verb   supervise.Verb
}{{'b', supervise.VerbBoot}, {'r', supervise.VerbReboot}, {'h', supervise.VerbHalt}, {'k', supervise.VerbKill}}

// oneVerb is the verb that the letters name, or none of them.
func oneVerb(set map[byte]bool, none supervise.Verb) (supervise.Verb, error) {
	verb := none
	for _, v := range verbLetters {
		if !set[v.letter] {
			continue
		}
		if verb != none {
			return "", usageError{errors.New("want one of -b, -r, -h, -k at most")}
		}
		verb = v.verb
	}
	return verb, nil
}

func doVerb(verb supervise.Verb, word string) error {
	s, ctx := &settings{}, context.Background()
	site, err := s.site()
	if err != nil {
		return err
	}
	err = onVNode(ctx, site, verb, word, func(id string) error { return doOne(ctx, site, task{verb, id}) })
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, word, err)
	}
	return nil
}

const bootVNodesUsage = "usage: bootvnodes [-d] [-f] [-c] [-k | -h | -r | -b]"

// bootVNodes is the host-wide old command line. With -f it stays in the
// foreground, else it goes on by itself and logs.
func bootVNodes(args []string) error {
	set, rest, err := letters(args, "dfkhrbc")
	if err == nil && len(rest) > 0 {
		err = usageError{fmt.Errorf("unexpected %q", rest[0])}
	}
	opts := hostWide{reconfig: set['c']}
	if err == nil {
		opts.verb, err = oneVerb(set, "")
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, bootVNodesUsage)
	}
	s := &settings{}
	if !set['f'] {
		return s.detach(args)
	}
	var out io.Writer = io.Discard
	if set['d'] {
		out = os.Stdout
	}
	return opts.run(context.Background(), s, out)
}

// detach has the same be done by a process of its own, which logs all it does.
func (s *settings) detach(args []string) error {
	site, err := s.site()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(site.State, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(site.BootVNodesLog(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{"-df"}, args...)...)
	cmd.Args[0] = oldBootVNodes // by which it knows what it is
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
