// Command fuzzer runs every fuzz target of the module, one after the other, and
// prints a table. It is `make fuzz`.
//
//	fuzzer [-parser 10m] [-others 60m] [PACKAGE…]
//
// The parser of requests, which reads what any jail sends, has a time of its own;
// all other targets share the rest in equal parts, 2 s at least. A finding doesn't end
// the run: its input stays in the package's testdata/fuzz, to be committed with the
// cure, and the exit code is 1. So it is if a target tried nothing: the machine was too
// busy even for its seeds. A wrong command line is 2.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// parser is the target with a time of its own.
const parser = "FuzzParseRequest"

// least is the shortest that a target runs: it has to start first.
const least = 2 * time.Second

// target is a fuzz function and what came of it.
type target struct {
	pkg, name string
	execs     string // how many inputs were tried
	fresh     string // how many of them were new and interesting
	finding   string // the last lines of the output, if it failed
}

func main() {
	parserTime := flag.Duration("parser", 10*time.Minute, "time for "+parser)
	others := flag.Duration("others", 60*time.Minute, "time for all other targets together")
	flag.Parse()
	if *parserTime <= 0 || *others <= 0 {
		fmt.Fprintln(os.Stderr, "fuzzer: want times above nothing; -h shows the options")
		os.Exit(2)
	}
	packages := flag.Args()
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	if err := run(packages, *parserTime, *others); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzer:", err)
		os.Exit(1)
	}
}

func run(packages []string, parserTime, others time.Duration) error {
	list, err := targets(packages)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("no fuzz target in these packages")
	}
	each := max(others/time.Duration(len(list)), least)
	findings, untried := 0, 0
	begun := time.Now()
	for i := range list {
		t, limit := &list[i], each
		if t.name == parser {
			limit = parserTime
		}
		t.fuzz(limit)
		fmt.Println(t)
		switch {
		case t.finding != "":
			findings++
		case t.execs == "":
			untried++
		}
	}
	for _, t := range list {
		if t.finding != "" {
			fmt.Printf("\n%s %s\n%s", t.pkg, t.name, t.finding)
		}
	}
	fmt.Printf("fuzz: %d targets, %v, %d findings, %d not tried\n", len(list), time.Since(begun).Round(time.Second), findings, untried)
	switch {
	case findings > 0:
		return errors.New("inputs that fail are in testdata/fuzz of their packages")
	case untried > 0:
		return errors.New("give more time: some targets tried nothing")
	}
	return nil
}

// targets lists the fuzz functions, by package. They are found in the sources:
// linking every package's tests would take longer than some of the runs.
func targets(packages []string) ([]target, error) {
	const format = `{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}`
	cmd := exec.Command("go", append([]string{"list", "-f", format}, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	function := regexp.MustCompile(`(?m)^func (Fuzz[A-Z]\w*)\(`)
	var list []target
	for line := range strings.Lines(string(out)) {
		pkg, file, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range function.FindAllSubmatch(text, -1) {
			list = append(list, target{pkg: pkg, name: string(m[1])})
		}
	}
	return list, nil
}

// fuzz runs the target for a while. A run that go test itself gave up, out of time
// on a busy machine and without an input to show, is done once more (go.dev/issue/48591).
func (t *target) fuzz(limit time.Duration) {
	out, err := t.once(limit)
	if err != nil && bytes.Contains(out, []byte("context deadline exceeded")) && !bytes.Contains(out, []byte("Failing input")) {
		out, err = t.once(limit)
	}
	progress := regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	if all := progress.FindAllSubmatch(out, -1); len(all) > 0 {
		last := all[len(all)-1]
		t.execs, t.fresh = string(last[1]), string(last[2])
	}
	if err != nil {
		lines := strings.SplitAfter(string(out), "\n")
		t.finding = strings.Join(lines[max(len(lines)-20, 0):], "")
	}
}

// minimize bounds how long one input that reached something new is made smaller.
// By default that is longer than most targets run: a slow one did nothing else.
const minimize = time.Second

func (t *target) once(limit time.Duration) ([]byte, error) {
	return exec.Command("go", "test", "-vet=off", "-run", "^$", "-fuzz", "^"+t.name+"$",
		"-fuzztime", limit.String(), "-fuzzminimizetime", minimize.String(), t.pkg).CombinedOutput()
}

// String is a line of the table.
func (t *target) String() string {
	word := "ok"
	switch {
	case t.finding != "":
		word = "FOUND"
	case t.execs == "":
		word = "not tried"
	}
	return fmt.Sprintf("%-40s %-28s %12s execs %6s new  %s", t.pkg, t.name, t.execs, t.fresh, word)
}
