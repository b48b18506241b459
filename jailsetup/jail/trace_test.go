package jail

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"emujail/jailsetup/plan"
	"emujail/jailsetup/wholefile"
)

// traced is a host with the directory of a vnode whose boot has left a trace.
func traced(t *testing.T, vnode string) *Host {
	t.Helper()
	h := &Host{Site: Site{State: t.TempDir()}, Log: slog.New(slog.DiscardHandler)}
	if err := os.MkdirAll(h.Site.Dir(vnode), 0o700); err != nil {
		t.Fatal(err)
	}
	h.writeTrace(Record{VNode: vnode, Boot: 1}, &tracer{events: []plan.Event{{Step: "the first boot's note", Start: time.Now(), Outcome: plan.Noted}}}, nil)
	return h
}

// TestTraceIsReplacedWhole: whoever reads it while the next boot's is written, or
// after its writer was killed, reads the one or the other.
func TestTraceIsReplacedWhole(t *testing.T) {
	const vnode = "pcvm1-1"
	h := traced(t, vnode)
	f, err := os.Open(h.Site.TracePath(vnode))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	h.writeTrace(Record{VNode: vnode, Boot: 2}, &tracer{}, errors.New("no room"))
	if old, err := io.ReadAll(f); err != nil || string(old) != string(before) {
		t.Errorf("who has opened the first reads %q, %v", old, err)
	}
	if notes, err := h.Site.Notes(vnode); err != nil || len(notes) > 0 {
		t.Errorf("notes of the second: %q, %v", notes, err)
	}
}

// TestDestroyTakesHalfATrace: what a killed writer left goes with the jail.
func TestDestroyTakesHalfATrace(t *testing.T) {
	const vnode = "pcvm1-1"
	h := traced(t, vnode)
	if err := os.WriteFile(h.Site.TracePath(vnode)+wholefile.Suffix, []byte(`{"vnode":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if notes, err := h.Site.Notes(vnode); err != nil || len(notes) != 1 {
		t.Errorf("notes: %q, %v", notes, err)
	}
	if err := h.destroy(t.Context(), vnode); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(h.Site.State + "/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
