package clockjump

import (
	"testing"
	"time"
)

func TestBehind(t *testing.T) {
	now := time.Now()
	for _, by := range []time.Duration{time.Hour, -time.Hour, 0, 24 * 365 * time.Hour} {
		moved := Behind(now, by)
		if got := now.Unix() - moved.Unix(); got != int64(by/time.Second) {
			t.Errorf("by %v: the wall clock moved by %d s", by, got)
		}
		if d := time.Until(moved); d > time.Second || d < -time.Minute {
			t.Errorf("by %v: the monotonic clock moved by %v", by, d)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a time without a monotonic reading is moved")
		}
	}()
	Behind(now.Round(0), time.Hour)
}
