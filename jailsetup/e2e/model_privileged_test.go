//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/leftover"
	"emujail/jailsetup/supervise"
)

// A run of the model begins on a host without jails and has so many steps.
const stepsPerRun = 25

// drainTimeout is how long a proxy may be there beside the next one, to end what
// is under way, and a moment more.
const drainTimeout = 15 * time.Second

// TestModel: whatever happens to a host of five vnodes, in whatever order, what
// is there afterwards is what a model says, which is a plain value: each jail
// that should be up has what it has when it is alone on the host, each that is
// halted its disk, and there is nothing else. No user's data is lost but by kill.
//
// MODEL_SEED gives the seed that a run has printed, MODEL_STEPS the number of
// steps: 100, and 1000 where the tag soak is set.
func TestModel(t *testing.T) {
	total := 100
	if soak {
		total = 1000
	}
	total = numberOf(t, "MODEL_STEPS", total)
	seed := numberOf(t, "MODEL_SEED", int(time.Now().UnixNano()%1e9)+1)
	for name, value := range map[string]int{"rapid.checks": max(1, total/stepsPerRun), "rapid.seed": seed} {
		if err := flag.Set(name, strconv.Itoa(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d steps, MODEL_SEED=%d", total, seed)
	h, done, first := newModelHost(t), 0, time.Now()
	rapid.Check(t, func(t *rapid.T) {
		if err := errors.Join(h.cleanUp(), h.agrees(newModel(h.vnodes), nil)); err != nil {
			t.Fatalf("to begin with: %v", err)
		}
		m := newModel(h.vnodes)
		for range min(total, stepsPerRun) {
			s := happenings().Draw(t, "step")
			began := time.Now()
			may, err := h.do(m, s)
			if err == nil {
				err = h.agrees(m, may)
			}
			t.Logf("%s: %s", s, time.Since(began).Round(time.Millisecond))
			done++
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	})
	t.Logf("soak: %d steps in %.0f s, MODEL_SEED=%d", done, time.Since(first).Seconds(), seed)
}

func numberOf(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number from 1 up", variable, text)
	}
	return n
}

// agrees looks at what is, takes over which of the allowed lives each vnode has,
// and holds the host against them.
func (h *modelHost) agrees(m *model, may allowed) error {
	err := until(waitTimeout, func() error { return h.adopt(m, may) })
	if err != nil {
		return err
	}
	return until(drainTimeout, func() error {
		now, err := h.holdings()
		if err != nil {
			return err
		}
		return errors.Join(h.wanted(m).Diff(now), h.carried(m))
	})
}

// adopt takes over the lives that list and the disks show.
func (h *modelHost) adopt(m *model, may allowed) error {
	out := h.jailsetup("list", "--json")
	var shown struct{ Jails []supervise.JailInfo }
	if err := errors.Join(out.err(), json.Unmarshal([]byte(out.stdout), &shown)); err != nil {
		return err
	}
	for _, v := range h.vnodes {
		at := slices.IndexFunc(shown.Jails, func(j supervise.JailInfo) bool { return j.VNode == v })
		var seen life
		if at >= 0 {
			j := shown.Jails[at]
			if j.Alive != (j.Phase == jail.Up) || j.Phase != jail.Up && j.Phase != jail.Down {
				return fmt.Errorf("%s is %s, alive %v", v, j.Phase, j.Alive)
			}
			seen = life{there: true, up: j.Alive, desired: j.Desired}
			if err := h.inItsCgroup(j.Record); err != nil {
				return err
			}
		}
		candidates, touched := may[v]
		if !touched {
			candidates = []life{m.lives[v]}
		}
		if seen.up && touched {
			var err error
			if seen.data, err = h.userReads(v); err != nil {
				return err
			}
		}
		at = slices.IndexFunc(candidates, func(l life) bool {
			if !seen.up || !touched {
				l.data = seen.data // can't be seen, or wasn't looked at
			}
			return l == seen
		})
		if at < 0 {
			return fmt.Errorf("%s is %+v; the model allows %+v", v, seen, candidates)
		}
		m.lives[v] = candidates[at]
	}
	return nil
}

// inItsCgroup holds a record against /proc.
func (h *modelHost) inItsCgroup(r jail.Record) error {
	if r.Phase != jail.Up {
		return nil
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", r.PID))
	if err == nil && !strings.Contains(string(groups), "/emulab/"+r.VNode+"\n") {
		err = fmt.Errorf("process %d of %s is in\n%s", r.PID, r.VNode, groups)
	}
	return err
}

// wanted is what the host has to have by the model.
func (h *modelHost) wanted(m *model) leftover.Listing {
	all := h.base
	for v, l := range m.lives {
		switch {
		case l.up:
			all = with(all, h.own[v].up)
		case l.there:
			all = with(all, h.own[v].down)
		}
	}
	return all
}

// carried says whether there is a delay node exactly if there is a link for it.
func (h *modelHost) carried(m *model) error {
	want := m.lives[h.vnodes[0]].up
	if r, err := h.record(h.vnodes[1]); err == nil && r.Phase == jail.Up {
		want = want || r.StartTime == m.shaped
	}
	if there := h.ours("delaynode") != 0; there != want {
		return fmt.Errorf("a delay node is there: %v, want %v", there, want)
	}
	return nil
}
