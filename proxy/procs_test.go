package proxy

import (
	"runtime"
	"testing"
	"time"
)

// TestProcs: more processors while many requests are under way, and for a while
// afterwards.
func TestProcs(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	runtime.GOMAXPROCS(1)
	start := time.Now()
	p := &procs{few: 1, many: 2, began: start}
	p.now.Store(1)
	for _, c := range []struct {
		after  time.Duration
		active int64
		want   int
	}{
		{0, 1, 1}, {1, crowded - 1, 1}, {2, crowded, 2}, {wideTime, 1, 2},
		{wideTime + 1, crowded, 2}, {2*wideTime + 1, 2, 2}, {2*wideTime + 2, 2, 1}, {2*wideTime + 3, 1, 1},
	} {
		p.see(start.Add(c.after), c.active)
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("after %v with %d: %d processors, want %d", c.after, c.active, got, c.want)
		}
	}
}
