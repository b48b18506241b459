// Command testcount reads `go test -json` from standard input, prints what
// failed with its output, and ends with one line:
//
//	tests: N passed, N failed, N skipped
//
// It exits 1 if a test failed, a package didn't build, or, with CI=true, a test
// was skipped: a skip would hide that something wasn't tested.
package main

import (
	"fmt"
	"io"
	"os"

	"emujail/dist/gotest"
)

func main() {
	c := newCounter()
	if err := c.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "testcount: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("tests: %d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	if !c.good(os.Getenv("CI") == "true") {
		os.Exit(1)
	}
}

type counter struct {
	passed, failed, skipped int
	words                   gotest.Words
	failedIn                map[string]bool // packages with a test that failed
}

func newCounter() *counter { return &counter{words: gotest.Words{}, failedIn: map[string]bool{}} }

// good is the verdict; ci says that this is the gate.
func (c *counter) good(ci bool) bool {
	return c.failed == 0 && c.passed > 0 && (c.skipped == 0 || !ci)
}

func (c *counter) read(r io.Reader, w io.Writer) error {
	return gotest.Read(r, w, func(e gotest.Event) { c.take(e, w) })
}

// take counts one event. What failed or was skipped goes to w, with its words.
func (c *counter) take(e gotest.Event, w io.Writer) {
	if c.words.Hear(e) {
		return
	}
	switch e.Action {
	case "pass":
		if e.Test != "" {
			c.passed++
		} else {
			fmt.Fprintf(w, "ok    %-50s %6.1f s\n", e.Package, e.Elapsed)
		}
	case "skip":
		if e.Test != "" {
			c.skipped++
			fmt.Fprintf(w, "skip  %s %s\n%s", e.Package, e.Test, c.words.Take(e))
		}
	case "fail", "build-fail":
		// A package fails with its tests; it counts itself only when none did.
		if e.Test != "" || e.Action == "build-fail" || e.FailedBuild == "" && !c.failedIn[e.Package] {
			c.failed++
			c.failedIn[e.Package] = true
		}
		fmt.Fprintf(w, "FAIL  %s %s\n%s", e.Package+e.ImportPath, e.Test, c.words.Take(e))
	default:
		return
	}
	c.words.Take(e) // nobody needs them any more
}
