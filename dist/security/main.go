// Command security attacks jails and says what held, a line per row of the
// specification: S1 … S31 of docs/spec/jail.md §5, and of docs/spec/peers.md §8
// those that speak of jails. It is `make security`.
//
//	security [-exec WRAPPER] [ROW…]    all rows, or those named
//	security -list                     the rows and the tests behind them
//
// The attacks are tests, which it runs by `go test`; rows.go says which tests a
// row rests on. A row is
//
//	S1 ok …            every attack was refused, and succeeded with the wall away
//	S1 FAILED …        a test of it failed
//	S1 MISSING …       a test of it didn't run
//	S1 UNPROVEN …      no test shows that its attacks can succeed at all
//
// Where nothing can show it, the line says why: (no counter-proof: no /dev/mem).
// It exits 1 unless every row is ok, 2 for a wrong command line.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"emujail/dist/gotest"
)

func main() {
	wrapper := flag.String("exec", "", "program that `go test` runs the tests with: sudo")
	list := flag.Bool("list", false, "print the rows and the tests behind them")
	flag.Parse()
	chosen, err := choose(rows(), flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "security:", err)
		os.Exit(2)
	}
	if *list {
		for _, r := range chosen {
			fmt.Println(r.describe())
		}
		return
	}
	if err := run(chosen, *wrapper); err != nil {
		fmt.Fprintln(os.Stderr, "security:", err)
		os.Exit(1)
	}
}

func choose(all []row, ids []string) ([]row, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var chosen []row
	for _, id := range ids {
		i := slices.IndexFunc(all, func(r row) bool { return r.id == id })
		if i < 0 {
			return nil, fmt.Errorf("no row %q; -list names them", id)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// run runs what the rows rest on and prints their lines.
func run(chosen []row, wrapper string) error {
	began := time.Now()
	seen := results{}
	var broken []error
	for _, g := range groupsOf(chosen) {
		if err := seen.runGroup(g, namesIn(chosen, g), wrapper); err != nil {
			broken = append(broken, err)
		}
	}
	good := 0
	for _, r := range chosen {
		line, ok := r.verdict(seen)
		if ok {
			good++
		}
		fmt.Println(line)
	}
	fmt.Printf("security: %d of %d rows hold, %s\n", good, len(chosen), time.Since(began).Round(time.Second))
	if good < len(chosen) {
		broken = append(broken, fmt.Errorf("%d rows don't hold", len(chosen)-good))
	}
	return errors.Join(broken...)
}

// results are outcomes of tests: pass, fail or skip, by test.
type results map[test]string

// runGroup runs tests of one package; what fails is shown on standard error.
func (seen results) runGroup(g group, names []string, wrapper string) error {
	tags := "privileged"
	if g.full {
		tags += " soak"
	}
	args := []string{"-timeout", "25m", "-tags", tags, "-run", "^(" + strings.Join(names, "|") + ")$"}
	if wrapper != "" {
		args = append(args, "-exec", wrapper)
	}
	words := gotest.Words{}
	err := gotest.Run(append(args, module+g.pkg), nil, os.Stderr, func(e gotest.Event) { seen.take(e, g, words, os.Stderr) })
	if err != nil {
		return fmt.Errorf("tests of %s: %w", g.pkg, err)
	}
	return nil
}

// take takes an event of a group's.
func (seen results) take(e gotest.Event, g group, words gotest.Words, shown io.Writer) {
	if words.Hear(e) {
		return
	}
	switch e.Action {
	case "pass", "fail", "skip", "build-fail":
		if e.Test != "" {
			seen[test{g, e.Test}] = e.Action
		}
		if said := words.Take(e); said != "" && e.Action != "pass" {
			fmt.Fprintf(shown, "%s %s %s\n%s", e.Action, e.Package, e.Test, said)
		}
	}
}

// groupsOf lists what the rows' tests are run in, each once.
func groupsOf(chosen []row) []group {
	var all []group
	for _, r := range chosen {
		for _, t := range r.tests() {
			if !slices.Contains(all, t.group) {
				all = append(all, t.group)
			}
		}
	}
	return all
}

// namesIn lists a group's top-level tests, as patterns.
func namesIn(chosen []row, g group) []string {
	var all []string
	for _, r := range chosen {
		for _, t := range r.tests() {
			if t.group == g {
				top, _, _ := strings.Cut(t.name, "/")
				all = append(all, regexp.QuoteMeta(top))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
