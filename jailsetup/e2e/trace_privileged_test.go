//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/plan"
)

// TestTrace: a boot says what it did, step by step; one that fails says where
// and why, on the terminal, to tmcd and by its exit code (T37).
func TestTrace(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	t.Run("a boot", func(t *testing.T) {
		trace := r.trace(t, r.must("boot", "--trace", v), plan.Done)
		var sum time.Duration
		for _, want := range []string{"wait for a turn", jail.AskTmcd, "make cgroups", "open sockets", "eth1", "run injail as PID 1"} {
			if !strings.Contains(names(trace), want) {
				t.Errorf("no step %q in:\n%s", want, names(trace))
			}
		}
		for _, s := range trace.Steps {
			sum += s.Took
		}
		if sum > trace.Took || trace.Took > verbTimeout || trace.Took-sum > trace.Took/2 {
			t.Errorf("steps took %s, the boot %s", sum, trace.Took)
		}
		kept, err := os.ReadFile(filepath.Join(r.state(), v, "trace.json"))
		if err != nil || len(r.trace(t, string(kept), plan.Done).Steps) < 8 {
			t.Errorf("kept: %v\n%s", err, kept)
		}
		r.must("kill", v)
	})
	t.Run("a boot that fails", func(t *testing.T) {
		// A program that isn't the one it should be.
		spawner := r.path("bin")
		if err := os.CopyFS(spawner, os.DirFS(filepath.Join(runDir(), "bin"))); err != nil {
			t.Fatal(err)
		}
		site, err := os.ReadFile(r.path("site.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		r.must("stop")
		<-r.serve.ended
		r.write("site.yaml", strings.ReplaceAll(string(site), filepath.Join(runDir(), "bin"), spawner))
		r.startServe()
		if err := os.WriteFile(filepath.Join(spawner, "jailspawn"), []byte("#!/bin/sh\necho out of order >&2\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		out := r.jailsetup("boot", "--trace", v)
		trace := r.trace(t, out.stdout, plan.Failed)
		last := trace.Steps[len(trace.Steps)-1]
		if last.Outcome != plan.Failed || !strings.Contains(last.Step, "stage 0") || !strings.Contains(last.Error, "out of order") {
			t.Errorf("last step is %+v", last)
		}
		for what, text := range map[string]string{"terminal": out.stderr, "boot log": r.node(v).Reports["bootlog"], "trace": trace.Error} {
			if !strings.Contains(text, "as stage 0 of "+v) || !strings.Contains(text, "out of order") {
				t.Errorf("%s says\n%s", what, text)
			}
		}
		if !strings.Contains(out.stderr, " ms  open sockets") || out.code != 1 {
			t.Errorf("exit code %d, says\n%s", out.code, out.stderr)
		}
		r.reports(v, "TBFAILED")
		r.noJailLeft()
	})
	t.Run("a boot that fails, as tmcd sees it", func(t *testing.T) {
		r.write("plan.json", `{"events": [{"at": 3600, "object": "cbr0", "action": "START"}]}`)
		r.must("event", "jails/demo", "--schedule", r.path("plan.json"))
		r.fault("delay command=state delay=1500ms") // it hears at once and is slow to say so
		booted := make(chan result)
		go func() { booted <- r.jailsetup("boot", v) }()
		r.reports(v, "BOOTING")
		r.reports(v, "TBFAILED")
		if dir := cgroupDir(v); dir != "" {
			t.Errorf("it has heard TBFAILED while there is %s, whose jail may yet say ISUP", dir)
		}
		if out := <-booted; out.code != 1 {
			t.Errorf("exit code %d", out.code)
		}
		r.noJailLeft()
		left, err := filepath.Glob(filepath.Join(r.state(), ".events", "*"))
		if err != nil || len(left) != 1 {
			t.Fatalf("of the experiment's schedule, which the next boot is to follow, there is %v (%v)", left, err)
		}
		text, err := os.ReadFile(left[0])
		if err != nil || !strings.Contains(string(text), "cbr0") || strings.Contains(string(text), `"key"`) {
			t.Errorf("kept is %s (%v)", text, err)
		}
	})
}

func (r *rig) trace(t *testing.T, text string, want plan.Outcome) jail.Trace {
	t.Helper()
	var trace jail.Trace
	if err := json.Unmarshal([]byte(text), &trace); err != nil {
		t.Fatalf("trace: %v\n%s", err, text)
	}
	if trace.Outcome != want || len(trace.Steps) == 0 {
		t.Fatalf("trace: %s", text)
	}
	return trace
}

func names(trace jail.Trace) string {
	var all strings.Builder
	for _, s := range trace.Steps {
		all.WriteString(s.Step + "\n")
	}
	return all.String()
}
