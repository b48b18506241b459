package proxy

import (
	"io"
	"sync"
	"time"
)

// How long a connection that is done with stays open, and how many do.
const (
	spentPause = 20 * time.Millisecond
	maxSpent   = 64
)

// spent is connections to tmcd that have brought a whole answer: both sides
// have said their last. They are closed many at a time. The scheduler is told of
// a close, and when nothing else is to do it wakes its watchman for each, which
// costs as much as a request.
type spent struct {
	mu    sync.Mutex
	list  []io.Closer
	timer *time.Timer // runs while there is something in list
}

// add takes c over. nil is nothing.
func (l *spent) add(c io.Closer) {
	if c == nil {
		return
	}
	l.mu.Lock()
	l.list = append(l.list, c)
	full := len(l.list) == maxSpent
	switch {
	case full || len(l.list) > 1:
	case l.timer == nil:
		l.timer = time.AfterFunc(spentPause, l.close)
	default:
		l.timer.Reset(spentPause)
	}
	l.mu.Unlock()
	if full {
		l.close()
	}
}

// close closes all that there are. What they say to it is nobody's business: they
// have said all that counted.
func (l *spent) close() {
	l.mu.Lock()
	list := l.list
	l.list = nil
	l.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}
