//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Of two processors, a jail that takes what it can leaves its sibling half;
// without shares, as many threads of 28 as it has itself.
const (
	greedy, modest = 24, 4
	spinSeconds    = 3
	fair, unfair   = 0.35, 0.25 // of the sibling, at least and at most
)

// processorTime: all CPU time that a jail wants doesn't cost its sibling its
// share (S23).
func (p *pair) processorTime(t *testing.T) {
	var got float64
	for range turns { // others than the two want processors, too
		if got = p.siblingsPart(t, func() {}); got >= fair {
			return
		}
	}
	t.Errorf("the sibling had %.0f %% of the processors", 100*got)
}

// processorsShared: the same with both jails' processes in one group for CPU
// time.
func (p *pair) processorsShared(t *testing.T) {
	a, b := processorGroup(t, p.a), processorGroup(t, p.b)
	one := filepath.Join(filepath.Dir(a), "one")
	if err := os.Mkdir(one, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Remove(one); err != nil {
			t.Error(err)
		}
	}()
	// The two begin when they can: until both spin, one has all.
	got := least(unfair, func() float64 {
		return p.siblingsPart(t, func() {
			for _, group := range []string{a, b} {
				p.await("a jail to spin", func() error { return moveSpin(group, one) })
			}
		})
	})
	if got > unfair {
		t.Errorf("without shares the sibling still had %.0f %%", 100*got)
	}
}

// siblingsPart is what b got of the CPU time while a wanted all; meanwhile is
// called when both have been told.
func (p *pair) siblingsPart(t *testing.T, meanwhile func()) float64 {
	t.Helper()
	var used [2]float64
	var errs [2]error
	var both sync.WaitGroup
	for i, jail := range []struct {
		vnode   string
		threads int
	}{{p.a, greedy}, {p.b, modest}} {
		both.Go(func() {
			out := p.jailsetup("enter", jail.vnode, p.inside, "spin", strconv.Itoa(jail.threads), strconv.Itoa(spinSeconds))
			_, err := fmt.Sscan(out.stdout, &used[i])
			errs[i] = errors.Join(out.err(), err)
		})
	}
	meanwhile()
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return used[1] / (used[0] + used[1])
}

// processorGroup is the cgroup that gives the jail its CPU time.
func processorGroup(t *testing.T, vnode string) string {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/*/emulab/", "/sys/fs/cgroup/emulab/"} {
		for _, file := range []string{"cpu.shares", "cpu.weight"} {
			if found, _ := filepath.Glob(filepath.Join(pattern, vnode, file)); len(found) > 0 {
				return filepath.Dir(found[0])
			}
		}
	}
	t.Fatalf("%s has no share of CPU time", vnode)
	return ""
}

// moveSpin moves the program that takes CPU time into another group.
func moveSpin(from, to string) error {
	data, err := os.ReadFile(filepath.Join(from, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(data)) {
		line, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline")) // gone: not it
		if strings.Contains(string(line), "\x00spin\x00") {
			return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(pid), 0)
		}
	}
	return fmt.Errorf("nobody spins in %s", from)
}
