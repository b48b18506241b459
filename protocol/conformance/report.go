package conformance

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// String is the result as a line of text: outcome, id, rule, and why.
func (r Result) String() string {
	word := map[Outcome]string{Passed: "ok", Failed: "FAIL", NotRun: "-"}[r.Outcome]
	line := fmt.Sprintf("%-4s  %-5s  %s", word, r.Row.ID, r.Row.Rule)
	if r.Why == "" {
		return line
	}
	return line + "\n             " + strings.ReplaceAll(printable(r.Why), "\n", "\n             ")
}

// printable keeps a reply's bytes from moving a terminal's cursor: what quote has
// left is text of ours, but addresses and errors pass through here too.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// String is the last line of a run.
func (s Summary) String() string {
	return fmt.Sprintf("check: %d passed, %d failed, %d not run", s.Passed, s.Failed, s.NotRun)
}

// WriteJSON writes the results as one object:
//
//	{"target":"127.0.0.1:7777","passed":1,"failed":0,"not_run":0,
//	 "rows":[{"id":"1/1","rule":"…","strict":false,"outcome":"passed","why":"…","seconds":0.004}]}
func WriteJSON(w io.Writer, target string, results []Result) error {
	type row struct {
		ID      string  `json:"id"`
		Rule    string  `json:"rule"`
		Strict  bool    `json:"strict"`
		Outcome Outcome `json:"outcome"`
		Why     string  `json:"why,omitempty"`
		Seconds float64 `json:"seconds"`
	}
	sum := count(results)
	rows := []row{}
	for _, r := range results {
		rows = append(rows, row{r.Row.ID, r.Row.Rule, r.Row.Strict, r.Outcome, r.Why, seconds(r.Took)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{"target": target, "passed": sum.Passed, "failed": sum.Failed, "not_run": sum.NotRun, "rows": rows})
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

func count(results []Result) (s Summary) {
	for _, r := range results {
		switch r.Outcome {
		case Passed:
			s.Passed++
		case Failed:
			s.Failed++
		case NotRun:
			s.NotRun++
		}
	}
	return s
}

// The parts of JUnit's format that continuous integration reads.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string    `xml:"classname,attr"`
		Name    string    `xml:"name,attr"`
		Time    string    `xml:"time,attr"`
		Failure *junitWhy `xml:"failure"`
		Skipped *junitWhy `xml:"skipped"`
	}
	junitWhy struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes the results as a JUnit test suite: a case a row, rows not run as
// skipped.
func WriteJUnit(w io.Writer, target string, results []Result) error {
	sum := count(results)
	suite := junitSuite{Name: "tmcd at " + target, Tests: len(results), Failures: sum.Failed, Skipped: sum.NotRun}
	var all time.Duration
	for _, r := range results {
		all += r.Took
		section, _, _ := strings.Cut(r.Row.ID, "/")
		c := junitCase{Class: "protocol.section" + section, Name: r.Row.ID + " " + r.Row.Rule, Time: junitTime(r.Took)}
		switch r.Outcome {
		case Failed:
			c.Failure = &junitWhy{printable(r.Why)}
		case NotRun:
			c.Skipped = &junitWhy{printable(r.Why)}
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = junitTime(all)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitTime(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
