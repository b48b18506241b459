package hub

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/event"
)

// TestT13MistakesDontFillTheLog: whatever a jail says wrong, and however often,
// the host's log stays small.
func TestT13MistakesDontFillTheLog(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	a := h.join("v1", demo)
	line := event.Event{Experiment: demo, Object: strings.Repeat("o", 60000), Action: "START"}.Append(nil)
	if _, err := a.Write(bytes.Repeat(line, burst)); err != nil {
		t.Fatal(err)
	}
	h.await("the last complaint", func() bool { return strings.Count(h.log.String(), "event of a jail refused") == complaintBurst })
	for range 20 {
		long := h.join("v1", demo)
		_, _ = long.Write(make([]byte, event.MaxLine+1)) // cut off in the middle
		long.Close()
	}
	if n := len(h.log.String()); n > 2*complaintBurst*maxComplaint {
		t.Errorf("the log has %d bytes", n)
	}
}

// TestComplaints: they come back with time, and say how many were kept back.
func TestComplaints(t *testing.T) {
	var c complaints
	now := time.Unix(1700000000, 0)
	for i := range complaintBurst {
		if _, ok := c.take(now); !ok {
			t.Fatalf("complaint %d is kept back", i)
		}
	}
	for range 3 {
		if _, ok := c.take(now); ok {
			t.Error("a complaint too many")
		}
	}
	if unsaid, ok := c.take(now.Add(complaintEvery)); !ok || unsaid != 3 {
		t.Errorf("later: %d unsaid, %t", unsaid, ok)
	}
}
