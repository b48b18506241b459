package proxy

import (
	"runtime"
	"sync/atomic"
	"time"
)

// procs gives the process its processors. One alone serves requests that come one
// at a time soonest: a second one is woken for each, and finds nothing to do. When
// many are under way at once it would be the narrowest place of all.
type procs struct {
	few, many int
	wide      atomic.Bool
	until     atomic.Int64 // ns of the wall clock: wide till then
}

// crowded is how many requests at once are many; they are taken to come again for
// wideTime.
const (
	crowded  = 4
	wideTime = time.Second
)

func newProcs() *procs {
	few := runtime.GOMAXPROCS(0)
	return &procs{few: few, many: min(2*few, runtime.NumCPU())}
}

// see is told of each request, and how many are under way with it. To change stops
// all for some microseconds: that is once in wideTime.
func (p *procs) see(now time.Time, active int64) {
	switch {
	case p.many == p.few:
	case active >= crowded:
		p.until.Store(now.Add(wideTime).UnixNano())
		if p.wide.CompareAndSwap(false, true) {
			runtime.GOMAXPROCS(p.many)
		}
	case p.wide.Load() && now.UnixNano() > p.until.Load() && p.wide.CompareAndSwap(true, false):
		runtime.GOMAXPROCS(p.few)
	}
}
