// Package manual turns a tree of cobra commands into manual pages and shell
// completions, so that help, pages and completions have one source.
//
//	files, err := manual.Of(root, manual.Options{})
//	files["docs/man/tmcd-mock-serve.1"]   // a page a command, by cobra/doc
//	files["dist/completion/tmcd-mock.fish"]
//
// It also compares them with what is committed ([Check]), and makes a page of a
// program that has no cobra but prints its usage ([Page]). cobra/doc reads help
// as Markdown; help is written for terminals. So texts are prepared: words that
// Markdown would take for its own are protected, and indented lines become
// examples, which stay as they are.
//
// It is used by tests only (`make man` runs them with -update); no program
// links it. A tree that has been through [Of] is spoilt for anything else.
package manual

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// Where the files lie, from the top of the checkout.
const (
	manDir        = "docs/man/"
	completionDir = "dist/completion/"
)

// Options are what a tree doesn't say itself.
type Options struct {
	// Defaults says in words the default of a flag, by its name, where the value
	// depends on the machine.
	Defaults map[string]string
}

// Of returns pages and completions of the tree, by path. It changes the tree.
func Of(root *cobra.Command, o Options) (map[string][]byte, error) {
	root.InitDefaultHelpCmd()
	files := map[string][]byte{}
	if err := completions(root, files); err != nil {
		return nil, err
	}
	prepare(root, o)
	return files, pages(root, files)
}

func completions(root *cobra.Command, files map[string][]byte) error {
	for name, generate := range map[string]func(*bytes.Buffer) error{
		root.Name() + ".bash": func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"_" + root.Name():     func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		root.Name() + ".fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
	} {
		var b bytes.Buffer
		if err := generate(&b); err != nil {
			return fmt.Errorf("completion %s: %w", name, err)
		}
		files[completionDir+name] = b.Bytes()
	}
	return nil
}

// documented are the commands that have a page.
func documented(c *cobra.Command) bool {
	return !c.HasParent() || c.IsAvailableCommand() && c.Name() != "help" && c.Name() != "completion"
}

func pages(c *cobra.Command, files map[string][]byte) error {
	var b bytes.Buffer
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	// A page that changes by itself each month can't be compared: no date.
	header := &doc.GenManHeader{
		Title: strings.ToUpper(name), Section: "1", Date: &time.Time{}, Source: "Emulab jails", Manual: "User commands",
	}
	if err := doc.GenMan(c, header, &b); err != nil {
		return fmt.Errorf("manual page %s: %w", name, err)
	}
	files[manDir+name+".1"] = polish(b.Bytes())
	for _, child := range c.Commands() {
		if documented(child) {
			if err := pages(child, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare makes a tree's texts fit for Markdown, and its flags for a manual.
func prepare(c *cobra.Command, o Options) {
	c.DisableAutoGenTag = true
	c.InitDefaultHelpFlag()
	c.Short, c.Long = protect(c.Short), markdown(c.Long)
	for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) { prepareFlag(f, o) })
	}
	for _, child := range c.Commands() {
		if !documented(child) {
			child.Hidden = true
		}
		prepare(child, o)
	}
}

// ready marks a flag's usage as prepared: a persistent flag is met twice.
const ready = "\u200b"

// prepareFlag puts the name of a flag's value where cobra/doc prints the
// default, and the default into the text.
func prepareFlag(f *pflag.Flag, o Options) {
	if strings.HasSuffix(f.Usage, ready) {
		return
	}
	value, usage := pflag.UnquoteUsage(f)
	usage = protect(usage)
	words, told := o.Defaults[f.Name]
	switch {
	case told:
		usage += " (default " + protect(words) + ")"
	case !slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue):
		usage += " (default " + protect(strings.Trim(f.DefValue, "[]")) + ")"
	}
	f.DefValue, f.Usage, f.NoOptDefVal = value, usage+ready, ""
}

// markdown protects paragraphs and makes indented lines verbatim, apart from
// the paragraphs beside them.
func markdown(text string) string {
	var b strings.Builder
	wasIndented, wasEmpty := false, true
	for line := range strings.Lines(text) {
		indented, empty := strings.HasPrefix(line, "  "), strings.TrimSpace(line) == ""
		if indented != wasIndented && !empty && !wasEmpty {
			b.WriteString("\n")
		}
		switch {
		case empty:
			b.WriteString("\n")
		case indented:
			b.WriteString("    " + line)
		default:
			b.WriteString(protect(line))
		}
		wasIndented, wasEmpty = indented, empty
	}
	return b.String()
}

var special = regexp.MustCompile("[\\\\`*_{}\\[\\]<>#|~]")

// protect escapes what Markdown would take for its own.
func protect(s string) string { return special.ReplaceAllString(s, `\$0`) }

var (
	flagLine = regexp.MustCompile(`(?m)^(\\fB-.*\\fP)="?([^"\n]*)"?$`)
	flagTerm = regexp.MustCompile(`(?m)^(?:\.PP\n)?(\\fB-.*)\n\t`)
	dateWord = regexp.MustCompile(`(?m)^(\.TH "[^"]*" "1") "[^"]*"`)
)

// polish makes flags terms that read `--manage SOCKET`, and takes the date away.
func polish(page []byte) []byte {
	page = dateWord.ReplaceAll(page, []byte(`$1 ""`))
	page = flagLine.ReplaceAllFunc(page, func(line []byte) []byte {
		m := flagLine.FindSubmatch(line)
		if len(m[2]) == 0 {
			return m[1]
		}
		return fmt.Appendf(nil, `%s \fI%s\fP`, m[1], m[2])
	})
	page = flagTerm.ReplaceAll(page, []byte(".TP\n$1\n"))
	return bytes.ReplaceAll(page, []byte(ready), nil)
}

// names are the paths of files, sorted.
func names(files map[string][]byte) []string { return slices.Sorted(maps.Keys(files)) }
