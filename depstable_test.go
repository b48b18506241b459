package emujail

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDependencyTable: the table of docs/design.md §4 has every module that is
// imported, tools and tests included, and none that isn't.
func TestDependencyTable(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## 4. Dependencies\n")
	section, _, _ = strings.Cut(section, "\n## 5.")
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^\| [^|]+ \| ([^|]+) \|`).FindAllStringSubmatch(section, -1) {
		told = append(told, regexp.MustCompile(`[a-z0-9.-]+(?:/[A-Za-z0-9._-]+)+`).FindAllString(m[1], -1)...)
	}
	used := map[string]bool{}
	goFiles(t, func(path, text string) {
		f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			module, err := strconv.Unquote(i.Path.Value)
			if err != nil || !strings.Contains(strings.Split(module, "/")[0], ".") {
				continue // the standard library, or ours
			}
			at := slices.IndexFunc(told, func(name string) bool { return under(strings.TrimPrefix(module, "github.com/"), name) })
			if at < 0 {
				t.Errorf("%s imports %s, which the table doesn't have", path, module)
				continue
			}
			used[told[at]] = true
		}
	})
	for _, name := range told {
		if !used[name] {
			t.Errorf("the table has %s, which nothing imports", name)
		}
	}
}
