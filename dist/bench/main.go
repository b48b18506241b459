// Command bench measures the figures that are promised and says which hold. It is
// `make bench`.
//
//	bench [NAME…]      all figures, or those named
//	bench -list        their names and limits
//
// A figure is a line `name value limit ok|short`; value and limit are numbers, a
// unit only attached: `size_tmcc 6.1MiB 8MiB ok`. What a ratio was made from stands
// in a line of its own before it. It ends `bench: N of M within limits` and exits 1
// if one is short, 2 for a wrong command line.
//
// A file a subject holds a list of figures: wire.go those of the protocol, its
// client and the mock. Peers that a figure is held against run in the same
// measurement, by turns with ours, so that a busy machine slows both. Programs are
// built for the purpose, stripped, as `make build` builds them; nothing is
// installed, and nothing outlives the run.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"emujail/jailsetup/measure"
)

// figure is one line of the table.
type figure struct {
	name    string
	unit    string // attached to value and limit
	limit   float64
	least   bool // the value must be at least the limit, else at most
	measure func(*bench) (float64, error)
}

// figures are all that there are, a list a file.
func figures() []figure {
	return slices.Concat(wire(), proxied(), jailed())
}

// bench is what a measurement works with.
type bench struct {
	dir    string // of its own, removed at the end
	wanted []figure
	built  map[string]string
	taken  map[string]measure.Figure // what jailsetup has measured already
}

func (b *bench) wants(name string) bool {
	return slices.ContainsFunc(b.wanted, func(f figure) bool { return f.name == name })
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "peer" {
		exit(peer(os.Args[2:]))
	}
	names := os.Args[1:]
	if slices.Contains(names, "-list") {
		for _, f := range figures() {
			fmt.Println(f.name, f.number(f.limit))
		}
		return
	}
	all := figures()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(f figure) bool { return f.name == name }) {
			fmt.Fprintf(os.Stderr, "bench: no figure %q; -list names them\n", name)
			os.Exit(2)
		}
	}
	exit(run(slices.DeleteFunc(all, func(f figure) bool { return len(names) > 0 && !slices.Contains(names, f.name) })))
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// run measures and prints. Short figures are an error.
func run(list []figure) (err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{dir: dir, wanted: list, built: map[string]string{}, taken: map[string]measure.Figure{}}
	within := 0
	for _, f := range list {
		value, err := f.measure(b)
		if err != nil {
			b.note("%s: %v", f.name, err)
		}
		word := "short"
		if err == nil && (f.least && value >= f.limit || !f.least && value <= f.limit) {
			word = "ok"
			within++
		}
		fmt.Println(f.name, f.number(value), f.number(f.limit), word)
	}
	fmt.Printf("bench: %d of %d within limits\n", within, len(list))
	if within < len(list) {
		return fmt.Errorf("%d short", len(list)-within)
	}
	return nil
}

// number is a value with its unit, to three digits at most after the point.
func (f figure) number(v float64) string {
	text := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + f.unit
}

// note prints a line of what a figure was made from.
func (b *bench) note(format string, args ...any) { fmt.Printf("# "+format+"\n", args...) }

// build compiles a main package of this module, as `make build` does, once.
func (b *bench) build(pkg string) (string, error) {
	if file := b.built[pkg]; file != "" {
		return file, nil
	}
	file := filepath.Join(b.dir, filepath.Base(pkg))
	var tags []string
	if filepath.Base(pkg) == "tmcc" { // lean, and beside it the whole one, which it becomes
		tags = []string{"-tags", "lean"}
		if err := goBuild(file+"-full", pkg); err != nil {
			return "", err
		}
	}
	if err := goBuild(file, pkg, tags...); err != nil {
		return "", err
	}
	b.built[pkg] = file
	return file, nil
}

// goBuild builds without C, stripped.
func goBuild(file, pkg string, more ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", file}, more, []string{pkg})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}

// median of some values, which it sorts.
func median[T ~int64 | ~float64](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
