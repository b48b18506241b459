package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A job is one connection and what belongs to it.
type job struct {
	jail  *jail
	conn  net.Conn
	place *ticket
	start time.Time
}

// maxIdle is how many goroutines wait for connections to come.
const maxIdle = 64

// workers give each connection a goroutine: one that has done another one's
// before, if one is free, for its stack has its size already.
type workers struct {
	work    func(job)
	idle    chan job
	waiting atomic.Int32
	all     sync.WaitGroup
}

// do gives the job away and doesn't wait.
func (w *workers) do(j job) {
	select {
	case w.idle <- j:
	default:
		w.all.Go(func() { w.run(j) })
	}
}

func (w *workers) run(j job) {
	for ok := true; ok; {
		w.work(j)
		if w.waiting.Add(1) > maxIdle {
			w.waiting.Add(-1)
			return
		}
		j, ok = <-w.idle
		w.waiting.Add(-1)
	}
}

// end lets all go. Nothing may be done any more.
func (w *workers) end() {
	close(w.idle)
	w.all.Wait()
}
