package steps

import (
	"encoding/json"
	"fmt"
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
}

// Summary is what an action came to: boot.json.
type Summary struct {
	Action Action    `json:"action"`
	VNode  string    `json:"vnode"`
	Began  time.Time `json:"began"`
	MS     float64   `json:"ms"`
	State  string    `json:"state"`           // reported to tmcd: ISUP, TBFAILED, or nothing
	Error  string    `json:"error,omitempty"` // the fatal one
	Steps  []Result  `json:"steps"`
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

// Text renders the summary for people: a line a step.
func (s *Summary) Text() string {
	var b strings.Builder
	for _, r := range s.Steps {
		fmt.Fprintf(&b, "  %-12s %-8s %8.1f ms", r.Step, r.Status, r.MS)
		switch {
		case r.Why != "":
			fmt.Fprintf(&b, "  %s", r.Why)
		case len(r.Changes) > 0:
			fmt.Fprintf(&b, "  %d changes", len(r.Changes))
		}
		if n := len(r.Warnings); n > 0 {
			fmt.Fprintf(&b, "  %d warnings", n)
		}
		b.WriteByte('\n')
	}
	end := s.State
	if end == "" {
		end = "no state reported"
	}
	fmt.Fprintf(&b, "%s %s: %s after %.0f ms, %d of %d steps failed\n", s.VNode, s.Action, end, s.MS, s.Failures(), len(s.Steps))
	return b.String()
}

// save leaves the summary where `jailsetup status` and people find it.
func (n *Node) save(s *Summary, log []byte) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if _, err := n.put(logDir+"/"+string(s.Action)+".json", append(text, '\n'), 0o644, false); err != nil {
		return err
	}
	_, err = n.put(logDir+"/"+string(s.Action)+".log", log, 0o644, false)
	return err
}
