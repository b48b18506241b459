//go:build linux && privileged

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agentState is what `injail event -status` says of one object.
func (i *inside) agentState(vnode, object string) string {
	i.t.Helper()
	for line := range strings.Lines(i.enter(vnode, "injail", "event", "-status")) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == object && f[1] != "program" {
			return f[3]
		} else if len(f) == 3 && f[0] == object {
			return f[2]
		}
	}
	i.t.Fatalf("%s has no %s", vnode, object)
	return ""
}

func (i *inside) awaitState(vnode, object, state string) {
	i.t.Helper()
	i.await(object+" of "+vnode+" to be "+state, func() error {
		if got := i.agentState(vnode, object); got != state {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// play sets an experiment's schedule and lets its time start.
func (i *inside) play(experiment, plan string) {
	i.t.Helper()
	file := filepath.Join(i.t.TempDir(), "plan.json")
	if err := os.WriteFile(file, []byte(plan), 0o600); err != nil {
		i.t.Fatal(err)
	}
	i.must("event", experiment, "--schedule", file, "--start")
}

// TestEvents: what the operator says reaches whom it is for; what a jail says
// reaches its own experiment, under its own name, and nobody else (T46).
func TestEvents(t *testing.T) {
	i := newInside(t, nil)
	for _, v := range []string{i.a, i.b, i.c} {
		i.boot(v)
	}
	prog := i.putInside(i.c, "inside")

	t.Run("the operator tells an object", func(t *testing.T) {
		if out := i.must("event", "jails/demo", "cbr0", "start", "RATE=8"); out != "cbr0 START: handed to "+i.a+"\n" {
			t.Errorf("%q", out)
		}
		i.awaitState(i.a, "cbr0", "sending")
		if got := i.agentState(i.c, "cbr0"); got != "waiting" && got != "idle" {
			t.Errorf("the other experiment's cbr0 is %s", got)
		}
		i.must("event", "demo", "cbr0", "stop") // the only one of that name
		i.awaitState(i.a, "cbr0", "waiting")
	})
	t.Run("a group", func(t *testing.T) {
		i.play("jails/demo", `{"groups": {"all": ["cbr0", "cbr1"]}, "events": [
			{"at": 0.2, "object": "all", "action": "START", "args": "RATE=8"}]}`)
		i.awaitState(i.a, "cbr0", "sending")
		i.awaitState(i.a, "cbr1", "sending")
		i.must("event", "jails/demo", "--at", "1.5", "all", "STOP") // both have been seen, however long it took
		i.awaitState(i.a, "cbr0", "waiting")
		i.awaitState(i.a, "cbr1", "waiting")
		i.must("event", "jails/demo", "--at", "1", "cbr1", "START", "RATE=8") // past: at once
		i.awaitState(i.a, "cbr1", "sending")
		i.must("event", "jails/demo", "all", "STOP")
	})
	for _, tt := range []struct {
		name, want string
		args       []string
		code       int
	}{
		{"no such object", "no agent has an object of that name (it has all, cbr0, cbr1, null0, null1, prog0, prog1)", []string{"jails/demo", "cbr9", "START"}, 1},
		{"no such experiment", "no such experiment on this host", []string{"jails/none", "cbr0", "START"}, 1},
		{"half an event", "want OBJECT and ACTION", []string{"jails/demo", "cbr0"}, 2},
		{"no experiment, by its second half", "none: no such experiment on this host (there are: jails/demo, jails/other)", []string{"none", "cbr0", "START"}, 1},
		{"no experiment", "want PROJECT/EXPERIMENT", []string{"a/b/c", "cbr0", "START"}, 2},
		{"no such action", "action BEGIN: a traffic generator knows START, STOP, MODIFY, RESET", []string{"jails/demo", "cbr0", "BEGIN"}, 1},
		{"no such key", "argument RAET: a traffic generator knows PACKETSIZE", []string{"jails/demo", "cbr0", "START", "RAET=1"}, 1},
		{"no such key, later", "argument RAET", []string{"jails/demo", "--at", "5", "cbr0", "START", "RAET=1"}, 1},
		{"no such key of a program", "argument RATE: a program knows COMMAND", []string{"jails/demo", "prog0", "START", "RATE=1"}, 1},
		{"a time without an event", "--at", []string{"jails/demo", "--at", "5"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := i.jailsetup(append([]string{"event"}, tt.args...)...)
			if out.code != tt.code || !strings.Contains(out.stderr, tt.want) {
				t.Errorf("exit code %d: %s", out.code, out.stderr)
			}
		})
	}
	t.Run("a program ends: the experiment hears of it", i.programEnds)
	t.Run("a jail speaks in its own name, to its own experiment", func(t *testing.T) { i.speaksForItself(t, prog) })
	t.Run("an ordinary user of the jail can't speak", func(t *testing.T) {
		if out := i.as("bob", i.c, "cp "+prog+" /tmp/i 2>/dev/null; "+prog+" say x jails/other cbr0 '' START ''"); out.code == 0 {
			t.Error("he can")
		}
	})
	t.Run("a jail that floods and doesn't listen delays nobody", func(t *testing.T) { i.floodDelaysNobody(t, prog) })
	t.Run("the hub is killed: what was told holds, the next one is found", func(t *testing.T) {
		i.must("event", "jails/demo", "cbr0", "START", "RATE=8")
		i.awaitState(i.a, "cbr0", "sending")
		i.serve.kill()
		i.startServe()
		i.awaitState(i.a, "cbr0", "sending")
		i.await("the agents to be back", func() error { return i.jailsetup("event", "jails/demo", "cbr0", "STOP").err() })
		i.awaitState(i.a, "cbr0", "waiting")
	})
}

func (i *inside) speaksForItself(t *testing.T, prog string) {
	own, other := i.watch("jails/other"), i.watch("jails/demo")
	for _, words := range [][]string{
		{"jails/other", "cbr0", "", "START", "RATE=8"},       // may
		{"jails/demo", "cbr0", "", "START", "RATE=8"},        // another experiment, whose key it has
		{"jails/other", "*", "TIME", "START", ""},            // the operator's
		{"jails/other", "cbr0", "NODE", "RELOAD", ""},        // the operator's
		{"jails/other", "cbr0", "TRAFGEN", "MODIFY", "IT=x"}, // may: comes last
	} {
		if out := i.jailsetup(append([]string{"enter", "-T", i.c, prog, "say", "9e107d9d372bb6826bd81d3542a419d6"}, words...)...); out.code != 0 {
			t.Fatal(out.err())
		}
	}
	for _, want := range []string{i.c + " cbr0 START", i.c + " cbr0 MODIFY"} {
		if line := own.next(); !strings.Contains(line, want) {
			t.Errorf("%q, want %q", line, want)
		}
	}
	i.must("event", "jails/demo", "cbr0", "RESET") // had anything got through, it would be before
	if line := other.next(); !strings.Contains(line, "operator cbr0 RESET") {
		t.Errorf("the other experiment hears %q", line)
	}
	if got := i.agentState(i.a, "cbr0"); got == "sending" {
		t.Error("the other experiment's generator sends")
	}
}

func (i *inside) floodDelaysNobody(t *testing.T, prog string) {
	seen := i.watch("jails/other")
	flood := i.command(context.Background(), "jailsetup", "--site", i.path("site.yaml"), "enter", "-T", i.c, prog, "flood", "9e107d9d372bb6826bd81d3542a419d6", "jails/other")
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = flood.Process.Signal(syscall.SIGTERM)
		_ = flood.Wait()
	}()
	for !strings.Contains(seen.next(), i.c+" flood MODIFY") {
	}
	const most = 2 * time.Second
	worst := least(most, func() (worst time.Duration) {
		for range 5 {
			began := time.Now()
			i.must("event", "jails/demo", "cbr0", "MODIFY", "RATE=8")
			worst = max(worst, time.Since(began))
		}
		return worst
	})
	if worst > most {
		t.Errorf("one of five events took %v", worst)
	}
	log, err := os.ReadFile(i.serve.log)
	if n := strings.Count(string(log), i.c); err != nil || n > 80 {
		t.Errorf("%d lines about it in the supervisor's log, %v", n, err)
	}
}

func (i *inside) programEnds(t *testing.T) {
	watch := i.watch("jails/demo")
	i.must("event", "jails/demo", "prog0", "START")
	if line := watch.next(); !strings.Contains(line, "operator prog0 START") {
		t.Errorf("%q", line)
	}
	if line := watch.next(); !strings.Contains(line, i.a+" prog0 COMPLETE ERROR=0 EXIT=0") {
		t.Errorf("%q", line)
	}
	if got := i.says(i.a, "cat /local/logs/prog0.out"); got != "blue alice /tmp\n" {
		t.Errorf("it said %q", got)
	}
}

// watcher is `jailsetup event --watch`.
type watcher struct {
	t     *testing.T
	lines chan string
}

func (i *inside) watch(experiment string) *watcher {
	i.t.Helper()
	cmd := exec.Command(program("jailsetup"), "--site", i.path("site.yaml"), "event", experiment, "--watch")
	out, err := cmd.StdoutPipe()
	if err != nil {
		i.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	w := &watcher{i.t, make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			select {
			case w.lines <- sc.Text():
			default: // more than anybody asks for
			}
		}
	}()
	i.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-done
		_ = cmd.Wait()
	})
	// It watches once it shows what is told.
	i.await("the watcher", func() error {
		i.jailsetup("event", experiment, "cbr0", "MODIFY", "RATE=-1")
		select {
		case <-w.lines:
			return nil
		case <-time.After(50 * time.Millisecond):
			return errors.New("shows nothing")
		}
	})
	// All see one order: before the last of these no other is to come.
	i.must("event", experiment, "cbr0", "MODIFY", "IPTOS=-1")
	for !strings.Contains(w.next(), "cbr0 MODIFY IPTOS=-1") {
	}
	return w
}

func (w *watcher) next() string {
	w.t.Helper()
	select {
	case line := <-w.lines:
		return line
	case <-time.After(10 * time.Second):
		w.t.Fatal("nothing is shown within 10 s")
		return ""
	}
}
