package progagent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/event"
	"emujail/protocol"
)

type bench struct {
	*Set
	tb   testing.TB
	dir  string
	ends chan Outcome
}

// newBench has a set whose user is whoever runs the test.
func newBench(tb testing.TB, list protocol.Programs) *bench {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range map[string]string{
		"passwd": fmt.Sprintf("bob:x:%d:%d:Bob:%s:/bin/sh\n", os.Getuid(), os.Getgid(), dir),
		"group":  fmt.Sprintf("bob:x:%d:\nteam:x:7777:bob\n", os.Getgid()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	b := &bench{tb: tb, dir: dir, ends: make(chan Outcome, 16)}
	b.Set = New(Options{Etc: dir, LogDir: filepath.Join(dir, "logs"), Grace: 200 * time.Millisecond,
		Finished: func(o Outcome) { b.ends <- o }})
	tb.Cleanup(b.Close)
	list.UID = "bob"
	if err := b.Update(list, protocol.UserEnv{{Name: "COLOUR", Value: "deep blue"}}); err != nil {
		tb.Fatal(err)
	}
	return b
}

func one(p protocol.Program) protocol.Programs {
	p.Name = "prog0"
	return protocol.Programs{Programs: []protocol.Program{p}}
}

func (b *bench) send(action, args string) error {
	return b.Deliver(context.Background(), event.Event{Object: "prog0", Type: event.Program, Action: action, Args: args})
}

func (b *bench) start() {
	b.tb.Helper()
	if err := b.send("START", ""); err != nil {
		b.tb.Fatal(err)
	}
}

func (b *bench) outcome() Outcome {
	b.tb.Helper()
	select {
	case o := <-b.ends:
		return o
	case <-time.After(10 * time.Second):
		b.tb.Fatal("no outcome within 10 s")
		return Outcome{}
	}
}

func (b *bench) read(name string) string {
	b.tb.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "logs", name))
	if err != nil {
		b.tb.Fatal(err)
	}
	return string(text)
}

// await polls a file until it has a line.
func (b *bench) await(name string) string {
	b.tb.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(b.dir, "logs", name))
		if err == nil && strings.HasSuffix(string(text), "\n") {
			return string(text)
		}
	}
	b.tb.Fatalf("%s: nothing within 5 s", name)
	return ""
}

func TestRun(t *testing.T) {
	for _, row := range []struct {
		name     string
		program  protocol.Program
		args     string
		want     Outcome
		out, err string
	}{
		{"output and exit", protocol.Program{Command: "echo out; echo err >&2; exit 3", ExpectedExitCode: "3"}, "",
			Outcome{Exit: 3, Expected: true}, "out\n", "err\n"},
		{"unexpected", protocol.Program{Command: "exit 1"}, "", Outcome{Exit: 1}, "", ""},
		{"environment", protocol.Program{Command: `echo "$USER $COLOUR"; pwd`, Dir: "/"}, "", Outcome{Expected: true}, "bob deep blue\n/\n", ""},
		{"time-out", protocol.Program{Command: "echo on; exec sleep 60", Timeout: "2"}, "", Outcome{Exit: 143, TimedOut: true}, "on\n", ""},
		{"one that ignores TERM", protocol.Program{Command: "trap '' TERM; while :; do sleep 1; done", Timeout: "2"}, "",
			Outcome{Exit: 137, TimedOut: true}, "", ""},
		{"arguments for this run", protocol.Program{Command: "echo old"}, "COMMAND='echo new word' EXPECTED_EXIT_CODE=0",
			Outcome{Expected: true}, "new word\n", ""},
		{"quotes of the user's", protocol.Program{Command: `echo it's"'"`}, "", Outcome{Exit: 2}, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // two wait for their time-out, which leaves the shell time to begin
			b := newBench(t, one(row.program))
			if err := b.send("START", row.args); err != nil {
				t.Fatal(err)
			}
			o := b.outcome()
			if o.Exit != row.want.Exit || o.Expected != row.want.Expected || o.TimedOut != row.want.TimedOut {
				t.Errorf("%+v, want %+v", o, row.want)
			}
			if got := b.read("prog0.out"); got != row.out {
				t.Errorf("output %q, want %q", got, row.out)
			}
			if got := b.read("prog0.err"); got != row.err && row.err != "" {
				t.Errorf("errors %q, want %q", got, row.err)
			}
			if got := b.read("prog0.status"); !strings.Contains(got, fmt.Sprintf(`"exit":%d`, o.Exit)) {
				t.Errorf("status %q", got)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "echo on; exec sleep 60"}))
	for _, action := range []string{"STOP", "KILL"} {
		if err := b.send(action, ""); !errors.Is(err, ErrIdle) {
			t.Errorf("%s of one that doesn't run: %v", action, err)
		}
	}
	b.start()
	b.await("prog0.out")
	if err := b.send("START", ""); !errors.Is(err, ErrRunning) {
		t.Errorf("START again: %v", err)
	}
	if err := b.send("KILL", "SIGNAL=USR1"); err != nil {
		t.Error(err)
	}
	if o := b.outcome(); o.Exit != 128+int(syscall.SIGUSR1) {
		t.Errorf("%+v", o)
	}
	if err := b.send("MODIFY", "COMMAND='exit 9'"); err != nil {
		t.Fatal(err)
	}
	b.start()
	if o := b.outcome(); o.Exit != 9 {
		t.Errorf("%+v", o)
	}
	for args, want := range map[string]string{"SIGNAL": "want KEY=VALUE", "COMMAND='x": "a quote", "TIMEOUT=long": "want seconds"} {
		if err := b.send("START", args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if err := b.send("DANCE", ""); !errors.Is(err, ErrAction) {
		t.Errorf("%v", err)
	}
}

func TestStopReachesTheWholeGroup(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "sleep 60 & echo $!; wait"}))
	b.start()
	var child int
	if _, err := fmt.Sscan(b.await("prog0.out"), &child); err != nil {
		t.Fatal(err)
	}
	if err := b.send("STOP", ""); err != nil {
		t.Fatal(err)
	}
	b.outcome()
	for deadline := time.Now().Add(5 * time.Second); alive(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child lives on")
		}
	}
}

// alive is false for zombies too: our test isn't their parent.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	return !strings.Contains(string(text), ") Z ")
}

func TestUpdateKeepsWhatRuns(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "echo on; exec sleep 60"}))
	b.start()
	b.await("prog0.out")
	if err := b.Update(protocol.Programs{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.send("STOP", ""); err != nil {
		t.Errorf("one that isn't on the list any more: %v", err)
	}
	b.outcome()
}

func TestCantStart(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "true", Dir: "/nonexistent"}))
	if err := b.send("START", ""); err == nil {
		t.Error("no error")
	}
	if o := b.outcome(); o.Error == "" || o.Exit != -1 {
		t.Errorf("%+v", o)
	}
	err := b.Update(protocol.Programs{UID: "bob", Programs: []protocol.Program{{Name: "../x", Command: "true"}, {Name: "y", Timeout: "x"}}}, nil)
	if err == nil || b.Has("../x") || b.Has("y") {
		t.Errorf("%v", err)
	}
}

func TestOutputIsBoundedAndFollowsNoLink(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "head -c 20000000 /dev/zero"}))
	victim := filepath.Join(b.dir, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".out", ".err", ".status"} {
		if err := os.Symlink(victim, filepath.Join(b.dir, "logs", "prog0"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	if o := b.outcome(); o.Exit != 0 {
		t.Errorf("%+v", o)
	}
	if n := len(b.read("prog0.out")); n < maxOutput || n > maxOutput+100 {
		t.Errorf("%d bytes kept", n)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "untouched" {
		t.Errorf("%q %v", text, err)
	}
}

// TestLeftBehind: a daemon that a program leaves holds the outcome up for a
// moment only, and Close not at all.
func TestLeftBehind(t *testing.T) {
	b := newBench(t, one(protocol.Program{Command: "setsid sleep 5 & exit 4"}))
	b.start()
	if o := b.outcome(); o.Exit != 4 {
		t.Errorf("%+v", o)
	}
	begin := time.Now()
	b.Close()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("closed after %v", took)
	}
	if err := b.send("START", ""); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
