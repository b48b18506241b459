package options

import "strings"

// Man is the manual page, in the language of man(7).
func Man() string {
	var b strings.Builder
	b.WriteString(".\\\" Made from tmcc/options; see its test.\n")
	b.WriteString(".TH TMCC 1 \"\" \"Emulab jails\" \"User commands\"\n")
	b.WriteString(".SH NAME\ntmcc \\- ask the testbed's master control daemon\n.SH SYNOPSIS\n")
	for i, s := range synopsis() {
		if i > 0 {
			b.WriteString(".br\n")
		}
		b.WriteString(roff(s) + "\n")
	}
	b.WriteString(".SH DESCRIPTION\n" + roff(description) + "\n.SH OPTIONS\n")
	b.WriteString(roff(parsing) + "\n")
	for _, g := range table() {
		b.WriteString(".SS " + roff(g.title) + "\n")
		for _, o := range g.options {
			text := sentence(o.help)
			if o.more != "" {
				text += " " + o.more
			}
			term(&b, "\\fB"+roff(o.name())+"\\fR "+italic(o.arg), text)
		}
	}
	pairs(&b, "ENVIRONMENT", environment())
	pairs(&b, "FILES", files())
	b.WriteString(".PP\n" + roff(fileDirs) + "\n")
	pairs(&b, "EXIT STATUS", exitCodes())
	pairs(&b, "EXAMPLES", examples())
	b.WriteString(".SH SEE ALSO\nThe protocol is described in docs/protocol.md.\n")
	return b.String()
}

const description = `tmcc sends one request, the words of the command, to tmcd and prints the reply. ` +
	`In a jail it asks through the proxy that its host keeps for it; elsewhere it asks the server itself, with TLS unless told otherwise. ` +
	`What tmcd refuses, or doesn't know, it answers with nothing: an empty reply is no failure, and tmcc says on standard error what may be the reason. ` +
	`A word is taken for the first command of tmcd's table that it begins with, which is Emulab's rule: statusx is answered as status. ` +
	`A request that tmcd may have seen is never sent again; while nobody is there, tmcc tries again, every 10 seconds, at a unix socket every second, until -t ends it; without -t, for ever.`

const parsing = `Options may be clustered and have their values attached, and may stand behind the command; -- ends them. ` +
	`Words such as -json may also be written with two dashes and stand before the command.`

func pairs(b *strings.Builder, title string, rows []pair) {
	b.WriteString(".SH " + title + "\n")
	for _, r := range rows {
		term(b, "\\fB"+roff(r.term)+"\\fR", sentence(r.text))
	}
}

func term(b *strings.Builder, head, text string) {
	b.WriteString(".TP\n" + strings.TrimSpace(head) + "\n" + roff(text) + "\n")
}

func italic(arg string) string {
	if arg == "" {
		return ""
	}
	return "\\fI" + roff(arg) + "\\fR"
}

// sentence makes a sentence of a line of help.
func sentence(s string) string {
	s = strings.ToUpper(s[:1]) + s[1:]
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// roff protects what troff would take for its own.
func roff(s string) string {
	s = strings.NewReplacer("\\", "\\e", "-", "\\-").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = "\\&" + s
	}
	return s
}
