package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is what came of a stage.
type row struct {
	Stage, What, Result string
	Took                time.Duration
	Figures             []string
	Commit, Date        string
}

// String is the row for a terminal.
func (r row) String() string {
	text := fmt.Sprintf("%-7s %-6s %5.0f s", r.Stage, r.Result, r.Took.Seconds())
	for _, f := range r.Figures {
		text += "\n        " + f
	}
	return text
}

// line is the row in the file. A bar would end its column.
func (r row) line() string {
	figures := strings.ReplaceAll(strings.Join(r.Figures, "; "), "|", "/")
	return fmt.Sprintf("| %s | %s | %s | %.0f s | %s | %s | %s |\n", r.Stage, r.What, r.Result, r.Took.Seconds(), figures, r.Commit, r.Date)
}

const head = `# What takes long
<!-- Written by make soak. -->

What ` + "`make soak`" + ` runs: a row for each stage, of its last run. ` + "`make soak SOAKS='model boots'`" + ` runs only these.

`

const tableHead = `| stage | what | result | took | figures | commit | date |
| --- | --- | --- | --- | --- | --- | --- |
`

// update writes the rows to the file. Of stages that weren't run the rows stay
// that it has.
func update(path, machine string, rows []row) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(merge(string(text), machine, rows)), 0o644)
}

// merge is the file's new text, the rows in the order of the stages.
func merge(old, machine string, rows []row) string {
	lines := map[string]string{}
	for line := range strings.Lines(old) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			lines[name] = line
		}
	}
	for _, r := range rows {
		lines[r.Stage] = r.line()
	}
	text := head + "The last run was on " + machine + ".\n\n" + tableHead
	for _, s := range stages() {
		text += lines[s.name]
	}
	return text
}

// commit is the commit that is run; `+` says that files differ from it.
func commit() (string, error) {
	id, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("ask git for the commit: %w", err)
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil {
		return "", fmt.Errorf("ask git what has changed: %w", err)
	}
	// This program's own report is no change.
	others := slices.DeleteFunc(bytes.Split(bytes.TrimSpace(changed), []byte("\n")), func(line []byte) bool {
		return len(line) == 0 || bytes.HasSuffix(line, []byte(" "+reportFile))
	})
	text := strings.TrimSpace(string(id))
	if len(others) > 0 {
		text += "+"
	}
	return text, nil
}

// machine is in a few words what this ran on.
func machine() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("an unknown kernel")
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(kernel)), "-") // a build's own name says nothing to others
	return fmt.Sprintf("%d cores, %s, %s %s", runtime.NumCPU(), memory(), runtime.GOOS, version)
}

func memory() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != "MemTotal:" {
				continue
			}
			if kib, err := strconv.Atoi(f[1]); err == nil {
				return fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
			}
		}
	}
	return "memory unknown"
}
