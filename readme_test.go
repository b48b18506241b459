package emujail

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// block is one ```console block of the README. A comment before it says how it
// is tested: `run` (as anybody), `run root`, or the name of a test of its own.
type block struct {
	line  int
	how   string
	steps []step
}

// step is a command and what it prints. In the output … stands for the rest of
// a line, and alone on a line for any lines.
type step struct {
	line    int
	command string
	output  string
}

// background tells whether the command goes on while the next ones run.
func (s step) background() bool { return strings.HasSuffix(s.command, "&") }

var howLine = regexp.MustCompile(`^<!-- test: (.*) -->$`)

// readBlocks finds the console blocks of a Markdown text.
func readBlocks(text string) ([]block, error) {
	var blocks []block
	var b *block
	how := ""
	for n, line := range strings.Split(text, "\n") {
		n++
		switch {
		case b == nil && line == "```console":
			if how == "" {
				return nil, fmt.Errorf("line %d: a console block that no comment says how to test", n)
			}
			b = &block{line: n, how: how}
		case b == nil && strings.HasPrefix(line, "```") && line != "```":
			return nil, fmt.Errorf("line %d: a block that isn't console: nobody runs it", n)
		case b == nil:
			how = ""
			if m := howLine.FindStringSubmatch(line); m != nil {
				how = m[1]
			}
		case line == "```":
			blocks, b = append(blocks, *b), nil
		default:
			if err := b.add(n, line); err != nil {
				return nil, err
			}
		}
	}
	return blocks, nil
}

// add takes a line of the block: `$ ` and `# ` begin a command, `> ` goes on
// with it, all else it prints.
func (b *block) add(n int, line string) error {
	prompt := "$ "
	if strings.HasSuffix(b.how, " root") {
		prompt = "# "
	}
	if command, ok := strings.CutPrefix(line, prompt); ok {
		b.steps = append(b.steps, step{line: n, command: command})
		return nil
	}
	if len(b.steps) == 0 {
		return fmt.Errorf("line %d: the block doesn't begin with %q", n, prompt)
	}
	last := &b.steps[len(b.steps)-1]
	if more, ok := strings.CutPrefix(line, "> "); ok && last.output == "" {
		last.command += "\n" + more
		return nil
	}
	last.output += line + "\n"
	return nil
}

// pattern matches what a step prints. Numbers of columns and blanks before the
// end of a line mean nothing.
func (s step) pattern() *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^`)
	for line := range strings.Lines(s.output) {
		line = strings.TrimRight(line, "\n")
		if line == "…" {
			b.WriteString(`(?:.*\n)*?`)
			continue
		}
		line = strings.TrimRight(line, " ")
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + ` *\n`)
	}
	return regexp.MustCompile(b.String() + `$`)
}

func readmeBlocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := readBlocks(string(text))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	return blocks
}

// TestReadmeBlocks: every block has a test, and the README stays readable.
func TestReadmeBlocks(t *testing.T) {
	count := map[string]int{}
	for _, b := range readmeBlocks(t) {
		count[b.how]++
	}
	for how, least := range map[string]int{"demo": 1, "test": 1, "run": 3, "run root": 1} {
		if count[how] < least {
			t.Errorf("%d blocks that %s, want %d", count[how], how, least)
		}
		delete(count, how)
	}
	if len(count) > 0 {
		t.Errorf("blocks that no test runs: %v", count)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 200 {
		t.Errorf("README.md has %d lines, 200 is the wall", n)
	}
}

// TestReadmeDemo: the README shows the checks that the demo makes. The gate runs
// the demo itself.
func TestReadmeDemo(t *testing.T) {
	source, err := os.ReadFile("examples/demo/checks.go")
	if err != nil {
		t.Fatal(err)
	}
	var checks []string
	for _, m := range regexp.MustCompile(`(?m)^\t\t\{"([^"]+)", w\.`).FindAllStringSubmatch(string(source), -1) {
		checks = append(checks, m[1])
	}
	var shown []string
	for _, b := range readmeBlocks(t) {
		if b.how != "demo" {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^✓ (.*?) +\d+ ms$`).FindAllStringSubmatch(b.steps[0].output, -1) {
			shown = append(shown, m[1])
		}
		if want := fmt.Sprintf("demo: ok (%d checks, ", len(checks)); !strings.Contains(b.steps[0].output, want) {
			t.Errorf("README.md:%d: no line %q", b.line, want)
		}
	}
	if len(checks) < 10 || strings.Join(shown, "\n") != strings.Join(checks, "\n") {
		t.Errorf("the README shows the checks\n%s\nthe demo makes\n%s", strings.Join(shown, "\n"), strings.Join(checks, "\n"))
	}
}

// TestReadmeTest: the README's last line of make test is testcount's.
func TestReadmeTest(t *testing.T) {
	source, err := os.ReadFile("dist/testcount/main.go")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`Printf\("(tests: .*?)\\n"`).FindSubmatch(source)
	if m == nil {
		t.Fatal("testcount prints no line that begins with tests:")
	}
	want := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(string(m[1]), "%d", `(\d+|…)`) + `$`)
	for _, b := range readmeBlocks(t) {
		if b.how == "test" && !want.MatchString(b.steps[0].output) {
			t.Errorf("README.md:%d: no line like %q", b.line, want)
		}
	}
}

func TestReadBlocks(t *testing.T) {
	const text = "x\n<!-- test: run -->\n```console\n$ cat <<E\n> a\n> E\na\n$ b &\nc … d\n…\n```\n"
	blocks, err := readBlocks(text)
	if err != nil || len(blocks) != 1 || len(blocks[0].steps) != 2 {
		t.Fatalf("got %+v, %v", blocks, err)
	}
	first, second := blocks[0].steps[0], blocks[0].steps[1]
	if first.command != "cat <<E\na\nE" || first.output != "a\n" || first.background() || !second.background() {
		t.Errorf("got %+v, %+v", first, second)
	}
	for out, want := range map[string]bool{"c 1 d\n": true, "c 1 d  \nmore\nlines\n": true, "c 1\n": false, "x\nc 1 d\n": false} {
		if got := second.pattern().MatchString(out); got != want {
			t.Errorf("%q: matched %v, want %v", out, got, want)
		}
	}
	for name, bad := range map[string]string{
		"no comment":     "```console\n$ a\n```\n",
		"another kind":   "<!-- test: run -->\n```sh\na\n```\n",
		"no prompt":      "<!-- test: run -->\n```console\na\n```\n",
		"not as root":    "<!-- test: run root -->\n```console\n$ a\n```\n",
		"comment is far": "<!-- test: run -->\nx\n```console\n$ a\n```\n",
	} {
		if _, err := readBlocks(bad); err == nil {
			t.Errorf("%s: no complaint", name)
		}
	}
}
