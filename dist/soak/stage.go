package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"emujail/dist/gotest"
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
	exec     string // as go test -exec takes it, ending with env and its words; empty: directly
	requests int    // to the mock; a jail sends a tenth of that through the proxy
}

// soakJails is how many jails ask through the proxy.
const soakJails = 64

// sizes are what the tests read from their environment.
func (r runner) sizes() []string {
	return []string{fmt.Sprintf("MOCK_SOAK=%d", r.requests), fmt.Sprintf("PROXY_SOAK=%d", r.requests/10*soakJails)}
}

// figureMark begins what a test logs as a figure.
const figureMark = "soak: "

// run runs a stage and returns its figures. What the tests say is on standard
// error if they fail. A pattern that no test has is a failure.
func (r runner) run(s stage) (figures []string, err error) {
	args := []string{"-timeout", "2h", "-tags", "privileged soak", "-run", s.tests}
	env := r.sizes()
	if r.exec != "" {
		args = append(args, "-exec", r.exec+" "+strings.Join(env, " "))
	}
	var l listener
	err = gotest.Run(append(args, s.packages...), env, &l, l.take)
	if err == nil && l.passed == 0 {
		err = errors.New("no test has been run")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, l.said)
	}
	return l.figures, err
}

// listener is what is known of a stage while it runs.
type listener struct {
	figures []string
	passed  int
	said    string // the last of it
}

// maxSaid bounds what is kept of the tests' words.
const maxSaid = 64 << 10

func (l *listener) take(e gotest.Event) {
	if e.Action == "pass" && e.Test != "" {
		l.passed++
	}
	if _, figure, ok := strings.Cut(e.Output, figureMark); ok {
		l.figures = append(l.figures, strings.TrimSpace(figure))
	}
	_, _ = l.Write([]byte(e.Output))
}

// Write takes words as they are.
func (l *listener) Write(p []byte) (int, error) {
	l.said += string(p)
	l.said = l.said[max(0, len(l.said)-maxSaid):]
	return len(p), nil
}
