// Package gotest runs `go test -json` and reads its events, for the programs that
// make something of them: testcount counts, security gives rows of the
// specification their outcome, soak collects figures.
//
// [Read] gives events of a stream one by one, and [Run] those of a run of its own.
// What isn't an event, a word of the go command itself, goes another way. [Words]
// keeps, within a bound, what a test says until it is known how it ended: only of
// tests that fail it is shown.
//
// Format and actions: cmd/test2json. An event is a line of JSON of at most 4 MiB; a
// longer one ends the reading with an error.
package gotest

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

// Event is one line of `go test -json` (cmd/test2json).
type Event struct {
	Action      string
	Package     string
	ImportPath  string  // of a build, in place of Package
	FailedBuild string  // of a package that couldn't run: counted with the build
	Test        string  // empty: of the package
	Elapsed     float64 // seconds
	Output      string
}

// Read gives each event to take; what isn't one, a word of the go command itself,
// goes to plain.
func Read(r io.Reader, plain io.Writer, take func(Event)) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var e Event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(plain, sc.Text())
			continue
		}
		take(e)
	}
	return sc.Err()
}

// Run runs `go test -json -count=1` with more arguments and, beside ours, more of
// an environment. The error is also that of tests that fail.
func Run(args, env []string, plain io.Writer, take func(Event)) error {
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = Read(out, plain, take)
	return errors.Join(err, cmd.Wait())
}

// maxWords bounds what is kept of one test's output.
const maxWords = 64 << 10

// Words are what tests have said, by test, until they end.
type Words map[string]*strings.Builder

// Hear keeps the output of an event, and tells whether it is one.
func (w Words) Hear(e Event) bool {
	if e.Action != "output" && e.Action != "build-output" {
		return false
	}
	b := w[e.key()]
	if b == nil {
		b = &strings.Builder{}
		w[e.key()] = b
	}
	if b.Len() < maxWords {
		b.WriteString(e.Output)
	}
	return true
}

// Take is what the test, the package or the build of e said; it is forgotten.
func (w Words) Take(e Event) string {
	b := w[e.key()]
	delete(w, e.key())
	if b == nil {
		return ""
	}
	return b.String()
}

func (e Event) key() string { return e.Package + e.ImportPath + " " + e.Test }
