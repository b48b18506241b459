package manual

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func tree() *cobra.Command {
	root := &cobra.Command{Use: "prog", Short: "do *things*", Long: "A pattern is pcvm1-* or <any>:\n  a  one\n  b  two\nThen more."}
	var at string
	root.PersistentFlags().StringVar(&at, "at", "here", "look at `PLACE`")
	verb := &cobra.Command{Use: "verb WORD", Short: "say it", Run: func(*cobra.Command, []string) {}, Example: "  prog verb x_y"}
	verb.Flags().BoolP("loud", "l", false, "say it loudly")
	verb.Flags().Int("times", 3, "say it `N` times")
	hidden := &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}}
	root.AddCommand(verb, hidden)
	return root
}

func TestOf(t *testing.T) {
	files, err := Of(tree(), Options{Defaults: map[string]string{"at": "where you stand"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"dist/completion/_prog", "dist/completion/prog.bash", "dist/completion/prog.fish",
		"docs/man/prog-verb.1", "docs/man/prog.1",
	}
	if got := names(files); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("files %q, want %q", got, want)
	}
	root, verb := string(files["docs/man/prog.1"]), string(files["docs/man/prog-verb.1"])
	for name, row := range map[string]struct{ page, want string }{
		"no date":                    {root, `.TH "PROG" "1" "" "Emulab jails" "User commands"`},
		"Markdown is text":           {root, "A pattern is pcvm1-* or <any>:"},
		"indented lines stay":        {root, "  a  one\n  b  two\n"},
		"a paragraph after them":     {root, "Then more."},
		"a default told in words":    {root, "\\fB--at\\fP \\fIPLACE\\fP\nlook at PLACE (default where you stand)"},
		"a verb is seen from above":  {root, "prog-verb(1)"},
		"a switch has no value":      {verb, ".TP\n\\fB-l\\fP, \\fB--loud\\fP\nsay it loudly\n"},
		"a default that is a number": {verb, "\\fB--times\\fP \\fIN\\fP\nsay it N times (default 3)"},
		"an inherited flag":          {verb, "\\fB--at\\fP \\fIPLACE\\fP"},
		"an example":                 {verb, "prog verb x_y"},
	} {
		if !strings.Contains(row.page, row.want) {
			t.Errorf("%s: no %q in\n%s", name, row.want, row.page)
		}
	}
}

func TestPage(t *testing.T) {
	got := string(Page("prog", "do it", []Part{
		{Usage: "usage: prog WORD\n       prog -h\n\nDoes it.\n  -h  help\nAnd so on.\n"},
		{Title: "more", Usage: "usage: prog more\n\n.Dots begin here.\n"},
	}))
	const want = `.TH "PROG" "1" "" "Emulab jails" "User commands"
.SH NAME
prog \- do it
.SH SYNOPSIS
.nf
prog WORD
prog \-h
.fi
.SH DESCRIPTION
Does it.
.nf
  \-h  help
.fi
.PP
And so on.
.SH "MORE"
.nf
prog more
.fi
.PP
\&.Dots begin here.
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// recorder is a test that fails without failing ours.
type recorder struct {
	testing.TB
	failures int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failures++ }

func TestCheck(t *testing.T) {
	top := t.TempDir()
	files := map[string][]byte{"docs/man/prog.1": []byte("a page"), "docs/man/prog-verb.1": []byte("another")}
	count := func(update bool) int {
		r := &recorder{TB: t}
		Check(r, top, "prog", files, update)
		return r.failures
	}
	if n := count(false); n != 2 {
		t.Errorf("nothing committed: %d complaints, want 2", n)
	}
	if n := count(true); n != 0 {
		t.Errorf("written anew: %d complaints", n)
	}
	stray := filepath.Join(top, "docs/man/prog-old.1")
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if n := count(false); n != 1 {
		t.Errorf("a page of no command: %d complaints, want 1", n)
	}
	count(true)
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("an update leaves the stray page: %v", err)
	}
	files["docs/man/prog.1"] = []byte("changed")
	if n := count(false); n != 1 {
		t.Errorf("a changed page: %d complaints, want 1", n)
	}
}
