package options

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the manual page and completions anew")

// The manual page and the completions are what the table makes: after a change
// of it run go test ./tmcc/options -update.
func TestCommittedFiles(t *testing.T) {
	for path, want := range map[string]string{
		"docs/man/tmcc.1":           Man(),
		"dist/completion/tmcc.bash": Bash(),
		"dist/completion/_tmcc":     Zsh(),
	} {
		t.Run(path, func(t *testing.T) {
			path = filepath.Join("..", "..", filepath.FromSlash(path))
			if *update {
				write(t, path, want)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != want {
				t.Errorf("%s is not what the table makes (%v): go test ./tmcc/options -update", path, err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each option stands in each rendering, and each variable of the environment in
// help and manual page.
func TestNothingIsLeftOut(t *testing.T) {
	for _, g := range table() {
		for _, o := range g.options {
			for where, text := range map[string]string{
				"help": Help(), "man": strings.ReplaceAll(Man(), `\-`, "-"), "bash": Bash(), "zsh": Zsh(),
			} {
				if !strings.Contains(text, o.name()) {
					t.Errorf("%s has no %s", where, o.name())
				}
			}
		}
	}
	for _, v := range environment() {
		for where, text := range map[string]string{"help": Help(), "man": Man()} {
			if !strings.Contains(text, v.term) {
				t.Errorf("%s has no %s", where, v.term)
			}
		}
	}
}

// The letters are the original's, with the wrapper's b, c and D, and no others.
func TestLetters(t *testing.T) {
	var flags, values string
	for _, g := range table() {
		for _, o := range g.options {
			switch {
			case o.word != "":
			case o.takesValue():
				values += string(o.letter)
			default:
				flags += string(o.letter)
			}
		}
	}
	for _, c := range "duiTbcD" {
		if strings.Count(flags, string(c)) != 1 {
			t.Errorf("no switch -%c, or two", c)
		}
	}
	for _, c := range "spvnkltxXof" {
		if strings.Count(values, string(c)) != 1 {
			t.Errorf("no -%c with a value, or two", c)
		}
	}
	if len(flags) != 7 || len(values) != 11 {
		t.Errorf("letters: %s and %s", flags, values)
	}
}

// Help fits a terminal of 80 columns.
func TestHelpWidth(t *testing.T) {
	for _, line := range strings.Split(Help(), "\n") {
		if len(line) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

func TestRoff(t *testing.T) {
	for in, want := range map[string]string{
		"a-b": `a\-b`, `a\b`: `a\eb`, ".x": `\&.x`, "'x": `\&'x`, "plain": "plain",
	} {
		if got := roff(in); got != want {
			t.Errorf("roff(%q) = %q, want %q", in, got, want)
		}
	}
}
