package supervise

import (
	"testing"
	"time"
)

// TestT31ARebootingJailWaits: the boots that a jail may cause are bounded, and
// come back with time.
func TestT31ARebootingJailWaits(t *testing.T) {
	var r restarts
	now := time.Unix(1700000000, 0)
	for i := range restartBurst {
		if pause := r.take(now); pause != 0 {
			t.Fatalf("reboot %d waits %v", i, pause)
		}
	}
	boots := 0
	for end := now.Add(10 * restartEvery); now.Before(end); boots++ {
		now = now.Add(time.Millisecond + r.take(now)) // reboots as soon as it is up
	}
	if boots > 11 {
		t.Errorf("%d boots in %v", boots, 10*restartEvery)
	}
	if pause := r.take(now.Add(2 * restartBurst * restartEvery)); pause != 0 {
		t.Errorf("waits %v after a long life", pause)
	}
}
