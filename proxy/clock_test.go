package proxy

import (
	"context"
	"math"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"emujail/tmcc/client"
)

// leap is t as a clock shows it that was set by so many seconds meanwhile: the
// wall's part of it moves, the monotonic part doesn't.
func leap(t time.Time, seconds int64) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(seconds) << 30 // beside 30 bits of nanoseconds
	return t
}

// jumpy is a clock that somebody sets a day forth and back at each look.
func jumpy() func() time.Time {
	var looks atomic.Int64
	return func() time.Time {
		return leap(time.Now(), 86400*(looks.Add(1)%3-1))
	}
}

func TestLeap(t *testing.T) {
	now := time.Now()
	if then := leap(now, 86400); then.Sub(now) != 0 || then.Unix()-now.Unix() != 86400 {
		t.Errorf("%v after %v: moved by %v", then, now, then.Sub(now))
	}
}

// serveCounted runs a proxy whose counters the test may look at.
func serveCounted(t *testing.T, o Options) *server {
	t.Helper()
	life, cut := context.WithCancel(context.WithoutCancel(t.Context()))
	s, err := newServer(life, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.live(ctx, cut) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		cut()
	})
	eventually(t, "the jail is there", func() bool { return s.jail(o.VNode) != nil })
	return s
}

// The clock jumps: limits, time-outs, tmcd's health and what the log says of the
// time spent go on as if nothing had happened.
func TestClockJumps(t *testing.T) {
	var log auditLog
	dead := startTmcd(t, nil).server()
	dead.Ports = []int{1} // nobody listens there
	o := Options{
		Tmcd: Tmcd{Servers: append([]client.Server{dead}, startTmcd(t, nil).server())}, Audit: &log, now: jumpy(),
		Limits:    Limits{Rate: 20, Burst: 5},
		Deadlines: Deadlines{Turn: 200 * time.Millisecond, Head: 200 * time.Millisecond},
		Path:      filepath.Join(t.TempDir(), "tmcc"), VNode: "pcvm1-1",
	}
	s := serveCounted(t, o)
	start := time.Now()
	for range 7 {
		if _, err := ask(t, o.Path, "status "); err != nil {
			t.Error(err)
		}
	}
	took := time.Since(start)
	if took < 90*time.Millisecond {
		t.Errorf("7 requests took %v: two had to wait 50 ms each", took)
	}
	if n := s.tmcdErrors.Load(); n != 1 && took < time.Second {
		t.Errorf("the dead tmcd was tried %d times within %v: it's tried last for a second", n, took)
	}
	half := time.Now()
	if reply, err := exchange(t, o.Path, false, "VERSION=40 stat"); !isReset(err) || time.Since(half) < 150*time.Millisecond {
		t.Errorf("half a head: %q, %v after %v", reply, err, time.Since(half))
	}
	refused, end := askAtOnce(t, s, o.Path, 20)
	most := 5 + 20*(end.Sub(start)+200*time.Millisecond).Seconds()
	if float64(8+20-refused) > most || refused == 20 {
		t.Errorf("%d of 20 were refused; %.1f may be served, with the eight before", refused, most)
	}
	for _, l := range log.wait(t, 28) {
		if l.Millis < 0 || l.Millis > 10_000 {
			t.Errorf("the log says that a request took %v ms", l.Millis)
		}
	}
	if micros := s.jail("pcvm1-1").counts.microsSum.Load(); micros > math.MaxInt32 {
		t.Errorf("requests took %d microseconds in all", micros)
	}
}
