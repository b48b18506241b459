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
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
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

// event is one line of `go test -json` (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
}

// maxOutput bounds what is kept of one test's words.
const maxOutput = 64 << 10

// runGroup runs tests of one package; what fails is shown on standard error.
func (seen results) runGroup(g group, names []string, wrapper string) error {
	tags := "privileged"
	if g.full {
		tags += " soak"
	}
	args := []string{"test", "-json", "-count=1", "-timeout", "25m", "-tags", tags, "-run", "^(" + strings.Join(names, "|") + ")$"}
	if wrapper != "" {
		args = append(args, "-exec", wrapper)
	}
	cmd := exec.Command("go", append(args, module+g.pkg)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := seen.read(out, os.Stderr, g)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return fmt.Errorf("tests of %s: %w", g.pkg, err)
	}
	return nil
}

// read takes the events of one group.
func (seen results) read(r io.Reader, shown io.Writer, g group) error {
	said := map[string]*strings.Builder{}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(shown, sc.Text()) // a word of the go command itself
			continue
		}
		switch e.Action {
		case "output", "build-output":
			b := said[e.Test]
			if b == nil {
				b = &strings.Builder{}
				said[e.Test] = b
			}
			if b.Len() < maxOutput {
				b.WriteString(e.Output)
			}
		case "pass", "fail", "skip", "build-fail":
			if e.Test != "" {
				seen[test{g, e.Test}] = e.Action
			}
			if b := said[e.Test]; b != nil && e.Action != "pass" {
				fmt.Fprintf(shown, "%s %s %s\n%s", e.Action, e.Package, e.Test, b)
			}
			delete(said, e.Test)
		}
	}
	return sc.Err()
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
