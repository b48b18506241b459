package emujail

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The house rules that a reader can check by eye, kept by eye no longer
// (docs/style.md §4).
const (
	maxLines      = 500
	minDocLines   = 8
	maxDocLines   = 25
	minFiles      = 200
	generatedMark = "// Code generated "
)

// goFiles walks the checkout and calls f with each Go file that people wrote.
func goFiles(t *testing.T, f func(path string, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		if !strings.HasPrefix(string(text), generatedMark) {
			f(path, string(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < minFiles {
		t.Errorf("looked at %d Go files: that can't be all", n)
	}
}

// word is something that must not stand in Go code, and why.
type word struct {
	pattern *regexp.Regexp
	why     string
}

// refused builds its patterns so that this file doesn't match them.
func refused() []word {
	return []word{
		{regexp.MustCompile(`\b` + `[tbf]` + `\.Skip(f|Now)?\(`), "a skip hides what wasn't tested: put privileged tests behind the tag"},
		{regexp.MustCompile(`(?m)^func ` + `init\(\)`), "what happens before main can't be read in main: write a table or a constructor"},
		{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), "an issue or nothing"},
		{regexp.MustCompile(`(?m)^package (utils?|types|common|errors|constants|helpers)$`), "a drawer for everything: name the package after what it is about"},
		{regexp.MustCompile(`(?:Errorf|errors\.New)\("[^"]*\b(?:failed` + ` to|unable` + ` to) `), "name the attempt: verb object: cause"},
	}
}

// TestRefusedWords: no skips, no init, no postponed work.
func TestRefusedWords(t *testing.T) {
	goFiles(t, func(path, text string) {
		for _, w := range refused() {
			for _, at := range w.pattern.FindAllStringIndex(text, -1) {
				t.Errorf("%s:%d: %q: %s", path, 1+strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], w.why)
			}
		}
	})
}

// TestRemovals: on a host of jails no tree is removed but by package removal,
// which crosses no mount. Inside a jail there is none of the host's to cross.
func TestRemovals(t *testing.T) {
	goFiles(t, func(path, text string) {
		host := top(path) == "jailsetup" || under(path, "examples/demo") || path == "examples/run/twohosts.go"
		if !host || under(path, "jailsetup/injail") || strings.HasSuffix(path, "_test.go") {
			return
		}
		for n, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "os.RemoveAll(") {
				t.Errorf("%s:%d: os.RemoveAll removes through mounts: use removal.Tree", path, n+1)
			}
		}
	})
}

// TestRefusedWordsBite: each rule sees what it forbids.
func TestRefusedWordsBite(t *testing.T) {
	bad := []string{
		"\tt.Sk" + "ip(\"no\")\n", "func in" + "it() {\n", "// TO" + "DO: later\n", "package utils\n", `fmt.Errorf("failed` + ` to open")`,
	}
	for i, w := range refused() {
		if !w.pattern.MatchString(bad[i]) {
			t.Errorf("%s doesn't match %q", w.pattern, bad[i])
		}
		if w.pattern.MatchString("// skipping what initialises\npackage proxy\n") {
			t.Errorf("%s matches what is right", w.pattern)
		}
	}
}

// TestFileSizes: 400 lines is much, 500 the wall.
func TestFileSizes(t *testing.T) {
	goFiles(t, func(path, text string) {
		if n := strings.Count(text, "\n"); n > maxLines {
			t.Errorf("%s has %d lines, %d is the wall", path, n, maxLines)
		}
	})
}

// TestPackageComments: each package says what it is in 8 lines or more, 25 of
// them with text or fewer; a command may be shorter, its manual page is longer.
func TestPackageComments(t *testing.T) {
	for folder, p := range packages(t) {
		lines := strings.Count(p.doc, "\n")
		full := lines - strings.Count(p.doc, "//\n")
		switch {
		case p.doc == "":
			t.Errorf("%s: package %s has no comment", folder, p.name)
		case p.name != "main" && (lines < minDocLines || full > maxDocLines):
			t.Errorf("%s: the comment of package %s has %d lines, want %d to %d", folder, p.name, full, minDocLines, maxDocLines)
		}
	}
}

type documented struct{ name, doc string }

// packages parses the files that aren't tests, for every system.
func packages(t *testing.T) map[string]documented {
	t.Helper()
	all := map[string]documented{}
	goFiles(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		p := all[folder]
		p.name = f.Name.Name
		if f.Doc != nil {
			p.doc += docText(f.Doc)
		}
		all[folder] = p
	})
	return all
}

// docText counts the lines as they stand in the file; go:build isn't one.
func docText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

// TestTree: the tree of docs/design.md §2 is the one that is there.
func TestTree(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	told, err := treeOf(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range told {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			t.Errorf("docs/design.md §2 has %s, the checkout hasn't", folder)
		}
	}
	for folder := range packages(t) {
		if folder != "." && !slices.Contains(told, folder) {
			t.Errorf("%s is in no line of docs/design.md §2", folder)
		}
	}
}

var folderWord = regexp.MustCompile(`(?:^| )((?:[a-z0-9-]+/)+)`)

// treeOf reads the first block of §2: a line's folders lie below the last
// folder of a line that is indented less. What follows the folders, after two
// spaces, is text, which may name further folders after two spaces more.
func treeOf(text string) ([]string, error) {
	_, rest, found := strings.Cut(text, "## 2. The house\n```\n")
	block, _, ended := strings.Cut(rest, "\n```\n")
	if !found || !ended {
		return nil, fmt.Errorf("docs/design.md has no tree in §2")
	}
	var all []string
	above := map[int]string{} // by indent
	for line := range strings.SplitSeq(block, "\n") {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		parent := ""
		for i := range indent {
			if above[i] != "" {
				parent = above[i]
			}
		}
		for i := indent; i < 20; i++ {
			delete(above, i)
		}
		for part := range strings.SplitSeq(strings.TrimSpace(line), "  ") {
			if !folderWord.MatchString(part) || !strings.HasPrefix(strings.TrimSpace(part), folderWord.FindStringSubmatch(part)[1]) {
				continue // text
			}
			for _, m := range folderWord.FindAllStringSubmatch(part, -1) {
				folder := parent + m[1]
				all = append(all, strings.TrimSuffix(folder, "/"))
				if above[indent] == "" {
					above[indent] = folder
				}
			}
		}
	}
	return all, nil
}
