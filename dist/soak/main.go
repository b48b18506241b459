// Command soak runs what takes too long for `make test` and keeps what came of
// it. It is `make soak`.
//
//	soak [-requests N] [-exec WRAPPER] [STAGE…]    all stages, or those named
//	soak -list                                     their names and what they do
//
// A stage is tests of ours with the build tag soak, which they read as "in full".
// What such a test logs behind `soak: ` is a figure. Each stage ends with a line,
// `model ok 412 s`, and the figures behind it; soak exits 1 if one failed, 2 for
// a wrong command line.
//
// At the end docs/soak.md has a row for each stage that was run, with commit and
// date, beside the rows of the others from before; its head describes the machine
// of the last run. The file is written also if a stage failed: the row says so.
//
// stage.go has the stages, report.go the file.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

const reportFile = "docs/soak.md"

func main() {
	list := flag.Bool("list", false, "print the stages and what they do")
	requests := flag.Int("requests", 1_000_000, "how many requests the mock gets; through the proxy each of 64 jails sends a tenth of that")
	program := flag.String("exec", "", "run the tests' programs by this command, as go test -exec does")
	flag.Parse()
	if *list {
		for _, s := range stages() {
			fmt.Printf("%-7s %s\n", s.name, s.what)
		}
		return
	}
	chosen, err := choose(stages(), flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if err := run(chosen, runner{exec: *program, requests: *requests}); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// choose are the stages of these names; all, if there is none.
func choose(all []stage, names []string) ([]stage, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []stage
	for _, name := range names {
		at := slices.IndexFunc(all, func(s stage) bool { return s.name == name })
		if at < 0 {
			return nil, fmt.Errorf("no stage %q; -list names them", name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// run runs the stages and writes the report.
func run(chosen []stage, r runner) error {
	commit, err := commit()
	if err != nil {
		return err
	}
	var rows []row
	var failed []error
	for _, s := range chosen {
		began := time.Now()
		figures, err := r.run(s)
		w := row{Stage: s.name, What: s.what, Took: time.Since(began).Round(time.Second), Result: "ok",
			Figures: figures, Commit: commit, Date: began.UTC().Format(time.DateOnly)}
		if err != nil {
			w.Result = "FAILED"
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		fmt.Println(w)
		rows = append(rows, w)
	}
	return errors.Join(errors.Join(failed...), update(reportFile, machine(), rows))
}
