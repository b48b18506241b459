package jail

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"emujail/jailsetup/plan"
)

// notePrefix begins the step of an event that is no step: what the vnode lacks.
const notePrefix = "note: "

// Notes are what the host has to say of the vnode's last boot: what it couldn't
// provide. None if it was never built.
func (s Site) Notes(vnode string) ([]string, error) {
	if err := CheckName(vnode); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.tracePath(vnode))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var events []plan.Event
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, err
	}
	var notes []string
	for _, e := range events {
		if note, ok := strings.CutPrefix(e.Step, notePrefix); ok {
			notes = append(notes, note)
		}
	}
	return notes, nil
}
