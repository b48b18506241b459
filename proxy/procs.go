package proxy

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// procs gives the process its processors. One alone serves requests that come one
// at a time soonest: a second one is woken for each, and finds nothing to do. When
// many are under way at once it would be the narrowest place of all.
type procs struct {
	few, many int
	began     time.Time
	until     atomic.Int64 // ns since began: many till then
	now       atomic.Int64 // how many there are
	change    sync.Mutex
}

// crowded is how many requests at once are many; they are taken to come again for
// wideTime.
const (
	crowded  = 4
	wideTime = time.Second
)

func newProcs() *procs {
	few := runtime.GOMAXPROCS(0)
	p := &procs{few: few, many: min(2*few, runtime.NumCPU()), began: time.Now()}
	p.now.Store(int64(few))
	return p
}

// see is told of each request, and how many are under way with it. To change stops
// all for some microseconds: that is twice in wideTime at most. Of two that want to
// change at once one does; if it was the wrong one the next request sees to it.
func (p *procs) see(now time.Time, active int64) {
	if p.many == p.few {
		return
	}
	at := int64(now.Sub(p.began))
	if active >= crowded {
		p.until.Store(max(at+int64(wideTime), p.until.Load()))
	}
	want := p.few
	if until := p.until.Load(); until > 0 && at <= until {
		want = p.many
	}
	if p.now.Load() == int64(want) || !p.change.TryLock() {
		return
	}
	defer p.change.Unlock()
	runtime.GOMAXPROCS(want)
	p.now.Store(int64(want))
}
