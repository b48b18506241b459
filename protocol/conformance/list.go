package conformance

import (
	"fmt"
	"strings"
)

// Page is docs/conformance.md: all rows as a table, by section.
func Page() []byte {
	var b strings.Builder
	b.WriteString(`# The rows of the conformance suite

` + "`tmcd-mock check ADDR`" + ` holds any running tmcd against the protocol, the original included. A row is a rule of
docs/spec/protocol.md; its id is the section and a number that no other rule ever gets. A row passes, fails, or is not
run, with the reason.

*Needs* says what must be given (` + "`tmcd-mock check -h`" + `): the host that asks and its vnodes are found out by asking.
*write* rows run with ` + "`--write`" + ` only: they change what the server holds, so give them a testbed that is for tests.
*strict* rows run with ` + "`--strict`" + ` only: what the original merely tolerates, or fails at itself.

This page is made from the code: ` + "`go test ./protocol/conformance -update`" + `.
`)
	rows := Rows()
	fmt.Fprintf(&b, "There are %d rows.\n", len(rows))
	titles := map[string]string{
		"1": "Transport and framing", "2": "Request grammar", "3": "Who is asking", "4": "Order of checks",
		"5": "VNODEID and PROXYFOR", "6": "Replies", "7": "What nodes report", "8": "Where the original errs",
	}
	for _, section := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		fmt.Fprintf(&b, "\n## %s. %s\n\n| id | rule | needs |\n| --- | --- | --- |\n", section, titles[section])
		for _, r := range rows {
			if strings.HasPrefix(r.ID, section+"/") {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", r.ID, strings.ReplaceAll(r.Rule, "|", `\|`), r.Terms())
			}
		}
	}
	return []byte(b.String())
}

// Terms are on which a row runs: its needs, and whether it is a strict one.
func (r Row) Terms() string {
	terms := r.Needs().String()
	switch {
	case r.Strict && terms != "":
		return terms + ", strict"
	case r.Strict:
		return "strict"
	}
	return terms
}
