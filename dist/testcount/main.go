// Command testcount reads `go test -json` from standard input, prints what
// failed with its output, and ends with one line:
//
//	tests: N passed, N failed, N skipped
//
// It exits 1 if a test failed, a package didn't build, or, with CI=true, a test
// was skipped: a skip would hide that something wasn't tested.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json` (cmd/test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	FailedBuild string // of a package that couldn't run: counted with the build
	Test        string
	Elapsed     float64
	Output      string
}

func main() {
	c := counter{output: map[string]*strings.Builder{}}
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
	output                  map[string]*strings.Builder
}

// good is the verdict; ci says that this is the gate.
func (c *counter) good(ci bool) bool {
	return c.failed == 0 && c.passed > 0 && (c.skipped == 0 || !ci)
}

// maxOutput bounds what is kept of one test's words.
const maxOutput = 64 << 10

func (c *counter) read(r io.Reader, w io.Writer) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(w, sc.Text()) // a word of the go command itself
			continue
		}
		c.take(e, w)
	}
	return sc.Err()
}

func (c *counter) take(e event, w io.Writer) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		b := c.output[key]
		if b == nil {
			b = &strings.Builder{}
			c.output[key] = b
		}
		if b.Len() < maxOutput {
			b.WriteString(e.Output)
		}
		return
	case "pass":
		if e.Test != "" {
			c.passed++
		} else {
			fmt.Fprintf(w, "ok    %-50s %6.1f s\n", e.Package, e.Elapsed)
		}
	case "skip":
		if e.Test != "" {
			c.skipped++
			fmt.Fprintf(w, "skip  %s %s\n%s", e.Package, e.Test, c.said(key))
		}
	case "fail", "build-fail":
		// A package fails with its tests; it counts itself only when none did.
		if e.Test != "" || e.Action == "build-fail" || e.FailedBuild == "" && !c.anyFailedIn(e.Package) {
			c.failed++
			c.output["failed "+e.Package] = &strings.Builder{}
		}
		fmt.Fprintf(w, "FAIL  %s\n%s", key, c.said(key))
	default:
		return
	}
	delete(c.output, key)
}

func (c *counter) anyFailedIn(pkg string) bool { return c.output["failed "+pkg] != nil }

func (c *counter) said(key string) string {
	if b := c.output[key]; b != nil {
		return b.String()
	}
	return ""
}
