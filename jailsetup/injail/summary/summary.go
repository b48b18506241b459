// Package summary is what a jail's configuration came to: a result a step, and
// the state that was reported. Inside it is written as boot.json beside
// boot.log; outside `jailsetup status` reads it.
//
//	s, err := summary.Read(text)   // boot.json; bounded
//	fmt.Print(s.Text())            // a line a step, for people
//
// Values only. What comes out of a jail is hostile: [Read] bounds it, and
// [Summary.Text] shows control characters as \xNN.
package summary

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is how a step ended.
type Status string

// The ways to end.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is what a step did.
type Result struct {
	Step     string   `json:"step"`
	Status   Status   `json:"status"`
	MS       float64  `json:"ms"`
	Why      string   `json:"why,omitempty"`      // of a failure, or of nothing to do
	Changes  []string `json:"changes,omitempty"`  // none on a second run
	Warnings []string `json:"warnings,omitempty"` // the step went on
	// Missing is what the experiment asks for and this node hasn't: no failure,
	// but nothing to be silent about.
	Missing []string `json:"not_provided,omitempty"`
}

// Summary is what an action came to: boot.json.
type Summary struct {
	Action string    `json:"action"` // boot, shutdown, reconfig, reset, refresh
	VNode  string    `json:"vnode"`
	Began  time.Time `json:"began"`
	MS     float64   `json:"ms"`
	State  string    `json:"state"`           // reported to tmcd: ISUP, TBFAILED, or nothing
	Error  string    `json:"error,omitempty"` // the fatal one
	Steps  []Result  `json:"steps"`
	// Missing is the same of the host's part: tunnels, for one.
	Missing []string `json:"not_provided,omitempty"`
}

// Changed says whether any step changed anything.
func (s *Summary) Changed() bool {
	for _, r := range s.Steps {
		if len(r.Changes) > 0 {
			return true
		}
	}
	return false
}

// Failures counts the steps that failed.
func (s *Summary) Failures() (n int) {
	for _, r := range s.Steps {
		if r.Status == Failed {
			n++
		}
	}
	return n
}

// NotProvided is all that the experiment asks for and the node hasn't.
func (s *Summary) NotProvided() []string {
	all := slices.Clone(s.Missing)
	for _, r := range s.Steps {
		for _, m := range r.Missing {
			all = append(all, r.Step+": "+m)
		}
	}
	return all
}

// Bounds of a summary that is read.
const (
	MaxBytes = 1 << 20
	maxSteps = 1000
)

// Read reads what a jail has written.
func Read(text []byte) (*Summary, error) {
	if len(text) >= MaxBytes {
		return nil, fmt.Errorf("summary of %d bytes or more: that is no summary", MaxBytes)
	}
	var s Summary
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	if len(s.Steps) > maxSteps {
		return nil, fmt.Errorf("summary of %d steps: at most %d", len(s.Steps), maxSteps)
	}
	return &s, nil
}

// Printable shows a jail's words on a terminal: control characters, and what is
// no ASCII, as \xNN.
func Printable(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c >= 0x7f }) < 0 {
		return s
	}
	var out []byte
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			out = fmt.Appendf(out, `\x%02x`, c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// Text renders the summary for people: a line a step.
func (s *Summary) Text() string {
	var b strings.Builder
	for _, r := range s.Steps {
		fmt.Fprintf(&b, "  %-12s %-8s %8.1f ms", Printable(r.Step), Printable(string(r.Status)), r.MS)
		switch {
		case r.Why != "":
			fmt.Fprintf(&b, "  %s", Printable(r.Why))
		case len(r.Changes) > 0:
			fmt.Fprintf(&b, "  %d changes", len(r.Changes))
		}
		if n := len(r.Warnings); n > 0 {
			fmt.Fprintf(&b, "  %d warnings", n)
		}
		b.WriteByte('\n')
	}
	for _, m := range s.NotProvided() {
		fmt.Fprintf(&b, "  not provided: %s\n", Printable(m))
	}
	end := s.State
	if end == "" {
		end = "no state reported"
	}
	fmt.Fprintf(&b, "%s %s: %s after %.0f ms, %d of %d steps failed\n", Printable(s.VNode), Printable(s.Action), Printable(end),
		s.MS, s.Failures(), len(s.Steps))
	return b.String()
}
