package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// stage is tests that are run in full.
type stage struct {
	name, what string
	tests      string // a pattern of names
	packages   []string
}

// e2e has the tests of whole jails.
const e2e = "./jailsetup/e2e"

// stages are all that there are, in the order in which they are run.
func stages() []stage {
	return []stage{
		{"mock", "hostile requests to tmcd-mock", "Soak", []string{"./tmcd-mock"}},
		{"proxy", "64 jails ask through the proxy, tmcd breaks down at random; the proxy is killed a hundred times", "Soak|TestProxyKilledUnderLoad", []string{"./proxy"}},
		{"model", "random verbs, crashes and faults on five jails, against a model", "TestModel", []string{e2e}},
		{"boots", "a hundred boots at once (T33)", "TestBootsAtOnce", []string{e2e}},
		{"many", "254 jails on one host (T34)", "TestManyJails", []string{e2e}},
		{"again", "kill, then boot at once, a hundred times (T22)", "TestLongNames", []string{e2e}},
		{"swaps", "directories change under a thousand boots and ends (T8)", "TestSwaps", []string{e2e}},
	}
}

// runner is how stages are run.
type runner struct {
	exec     string // as go test -exec takes it; empty: directly
	requests int
}

// figureMark begins what a test logs as a figure.
const figureMark = "soak: "

// testEvent is one line of `go test -json` (cmd/test2json).
type testEvent struct{ Action, Test, Output string }

// run runs a stage and returns its figures. What the tests say is on standard
// error if they fail. A pattern that no test has is a failure.
func (r runner) run(s stage) (figures []string, err error) {
	args := []string{"test", "-json", "-count=1", "-timeout", "2h", "-tags", "privileged soak", "-run", s.tests}
	if r.exec != "" {
		args = append(args, "-exec", r.exec)
	}
	cmd := exec.Command("go", append(args, s.packages...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("MOCK_SOAK=%d", r.requests), fmt.Sprintf("PROXY_SOAK=%d", r.requests))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	figures, passed, said := read(out)
	err = cmd.Wait()
	if err == nil && passed == 0 {
		err = errors.New("no test has been run")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, said)
	}
	return figures, err
}

// maxSaid bounds what is kept of the tests' words: the last of them.
const maxSaid = 64 << 10

// read reads the tests' events.
func read(r io.Reader) (figures []string, passed int, said string) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var e testEvent
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			said += sc.Text() + "\n"
			continue
		}
		if e.Action == "pass" && e.Test != "" {
			passed++
		}
		if _, figure, ok := strings.Cut(e.Output, figureMark); ok {
			figures = append(figures, strings.TrimSpace(figure))
		}
		said += e.Output
		said = said[max(0, len(said)-maxSaid):]
	}
	return figures, passed, said
}
