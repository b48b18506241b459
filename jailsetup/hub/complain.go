package hub

import "time"

// Bounds of what one jail's mistakes write to the host's log (peers.md T13).
const (
	maxComplaint   = 256 // bytes of a jail's words in a line
	complaintBurst = 50  // lines that may come together
	complaintEvery = 10 * time.Second
)

// complaints counts the lines that a jail may still cause.
type complaints struct {
	left   float64
	at     time.Time // zero: none yet
	unsaid int       // since the last line
}

// take tells whether a line may be written now, and how many were not since the
// last one.
func (c *complaints) take(now time.Time) (unsaid int, ok bool) {
	if c.at.IsZero() {
		c.left = complaintBurst
	} else {
		c.left = min(complaintBurst, c.left+now.Sub(c.at).Seconds()/complaintEvery.Seconds())
	}
	c.at = now
	if c.left < 1 {
		c.unsaid++
		return 0, false
	}
	c.left--
	unsaid, c.unsaid = c.unsaid, 0
	return unsaid, true
}

// complain logs what a jail did wrong, unless it does so all the time.
func (d *door) complain(what string, err error) {
	d.mu.Lock()
	unsaid, ok := d.logs.take(time.Now())
	d.mu.Unlock()
	if !ok {
		return
	}
	words := err.Error()
	if len(words) > maxComplaint {
		words = words[:maxComplaint] + "…"
	}
	args := []any{"error", words}
	if unsaid > 0 {
		args = append(args, "unsaid", unsaid)
	}
	d.log.Warn(what, args...)
}
