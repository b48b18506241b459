package manual

import (
	"fmt"
	"strings"
)

// Part is one usage text of a program, as `PROGRAM WORD -h` prints it: lines
// that begin with "usage: " and those indented like it, an empty line, then
// paragraphs and indented lines.
type Part struct {
	Title string // of its section; the first part's is left out
	Usage string
}

// Page makes the manual page of a program that prints its own usage.
func Page(name, summary string, parts []Part) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" \"1\" \"\" \"Emulab jails\" \"User commands\"\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(name), roff(summary))
	var described strings.Builder
	for i, p := range parts {
		synopsis, text := splitUsage(p.Usage)
		if i == 0 {
			verbatim(&b, synopsis)
			described.WriteString(".SH DESCRIPTION\n")
		} else {
			fmt.Fprintf(&described, ".SH \"%s\"\n", roff(strings.ToUpper(p.Title)))
			verbatim(&described, synopsis)
			described.WriteString(".PP\n")
		}
		paragraphs(&described, text)
	}
	return []byte(b.String() + described.String())
}

// splitUsage parts the synopsis, without "usage: ", from what follows it.
func splitUsage(usage string) (synopsis, text string) {
	head, text, _ := strings.Cut(strings.TrimRight(usage, "\n"), "\n\n")
	const mark = "usage: "
	var lines []string
	for line := range strings.Lines(head) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, mark), strings.Repeat(" ", len(mark))))
	}
	return strings.Join(lines, ""), text
}

// paragraphs writes text; its indented lines stay as they are.
func paragraphs(b *strings.Builder, text string) {
	var kept []string
	flush := func() {
		if len(kept) > 0 {
			verbatim(b, strings.Join(kept, "\n"))
			b.WriteString(".PP\n")
			kept = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "  ") {
			kept = append(kept, line)
			continue
		}
		flush()
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	flush()
}

func verbatim(b *strings.Builder, text string) {
	b.WriteString(".nf\n")
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(roff(line) + "\n")
	}
	b.WriteString(".fi\n")
}

// roff protects what troff would take for its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
