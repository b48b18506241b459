package steps

import (
	"encoding/json"

	"emujail/jailsetup/injail/summary"
)

// What the steps came to is shared with `jailsetup status`.
type (
	// Status is how a step ended.
	Status = summary.Status
	// Result is what a step did.
	Result = summary.Result
	// Summary is what an action came to: boot.json.
	Summary = summary.Summary
)

// The ways to end.
const (
	OK      = summary.OK
	Failed  = summary.Failed
	Skipped = summary.Skipped
)

// save leaves the summary where `jailsetup status` and people find it.
func (n *Node) save(s *Summary, log []byte) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if _, err := n.put(logDir+"/"+s.Action+".json", append(text, '\n'), 0o644, false); err != nil {
		return err
	}
	_, err = n.put(logDir+"/"+s.Action+".log", log, 0o644, false)
	return err
}
