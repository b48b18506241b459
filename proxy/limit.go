package proxy

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Why a request is refused that nobody looked at.
const (
	errTurn = refusal("too many requests, no turn in time")
	errRate = refusal("too many requests a second")
)

// A crowd is the connections of one jail. It is bounded: the oldest connection
// that has said nothing makes room for a newer one.
type crowd struct {
	freed chan struct{} // has one element after a place got free

	mu     sync.Mutex
	open   int
	silent list.List // of func(), which close a connection; oldest first
}

// A ticket is a connection's place in its jail's crowd.
type ticket struct {
	crowd  *crowd
	silent *list.Element
}

// enter takes a place among max. evict closes the connection if it has to make
// room while it is silent; evicted says that another one had to. Without room
// the ticket is nil.
func (c *crowd) enter(max int, evict func()) (t *ticket, evicted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= max {
		if !c.evictLocked() {
			return nil, false
		}
		evicted = true
	}
	c.open++
	return &ticket{crowd: c, silent: c.silent.PushBack(evict)}, evicted
}

// evictLocked closes the oldest silent connection, if there is one. Its place
// counts as free at once.
func (c *crowd) evictLocked() bool {
	oldest := c.silent.Front()
	if oldest == nil {
		return false
	}
	c.silent.Remove(oldest)
	c.open--
	oldest.Value.(func())()
	return true
}

// evict is evictLocked for others.
func (c *crowd) evict() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.evictLocked()
}

func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// speaks says that the connection isn't silent any more. It reports false if it
// had to go before.
func (t *ticket) speaks() bool {
	t.crowd.mu.Lock()
	defer t.crowd.mu.Unlock()
	return t.takeOff()
}

// leave gives the place back. It reports false if another one has it already.
func (t *ticket) leave() bool {
	t.crowd.mu.Lock()
	defer t.crowd.mu.Unlock()
	if t.silent != nil && !t.takeOff() {
		return false
	}
	t.crowd.open--
	select {
	case t.crowd.freed <- struct{}{}:
	default:
	}
	return true
}

// takeOff takes the ticket off the silent list; false if it isn't there. Remove
// leaves Value in place and forgets the list, so a second Remove does nothing:
// whether it worked shows in the length.
func (t *ticket) takeOff() bool {
	before := t.crowd.silent.Len()
	t.crowd.silent.Remove(t.silent)
	if t.crowd.silent.Len() == before {
		return false
	}
	t.silent = nil
	return true
}

// A bucket lets rate units a second through, and burst at once. It may be in
// debt: what is charged afterwards delays the next one.
type bucket struct {
	rate, burst float64

	mu    sync.Mutex
	level float64 // may be negative
	last  time.Time
	next  time.Time // for pace
}

// pace spreads what comes at once over time, at the rate: it says how long to
// wait for one's turn.
func (b *bucket) pace(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.next
	if mine.Before(now) {
		mine = now
	}
	b.next = mine.Add(time.Duration(float64(time.Second) / b.rate))
	return mine.Sub(now)
}

// reserve takes n units now, and says how long to wait before they count as
// free. Asked for more than patience, it takes nothing and reports false.
func (b *bucket) reserve(now time.Time, n float64, patience time.Duration) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	wait := time.Duration(0)
	if b.level < n {
		wait = time.Duration((n - b.level) / b.rate * float64(time.Second))
	}
	if wait > patience {
		return 0, false
	}
	b.level -= n
	return wait, true
}

// charge takes n units that have already been used.
func (b *bucket) charge(now time.Time, n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	b.level -= n
}

func (b *bucket) refill(now time.Time) {
	if b.last.IsZero() {
		b.level = b.burst
	} else {
		b.level = min(b.burst, b.level+b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
}

// company is how long a jail that has asked counts as one that others share the
// proxy with.
const company = 100 * time.Millisecond

// neighbours tell a jail whether it is alone.
type neighbours struct {
	mu      sync.Mutex
	latest  *jail     // that asked
	at      time.Time // when it did
	otherAt time.Time // when one before it did that is another one
}

// shared notes that j asks, and reports whether another one did lately.
func (n *neighbours) shared(j *jail, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.latest != j {
		n.latest, n.otherAt = j, n.at
	}
	n.at = now
	return now.Sub(n.otherAt) < company
}

// A gate lets a number of requests through at once. When it is full the jails
// that wait take turns, whatever the number of requests each has waiting.
type gate struct {
	mu      sync.Mutex
	free    int
	turns   list.List // of *queue: jails with somebody waiting, next first
	waiting int
}

// A queue is one jail's requests before the gate, in order of arrival.
type queue struct {
	waiters list.List     // of chan struct{}
	place   *list.Element // in gate.turns; nil: not there
}

// pass waits for a turn, at most for patience or until ctx ends. Who passed
// must leave.
func (g *gate) pass(ctx context.Context, q *queue, patience time.Duration) error {
	g.mu.Lock()
	if g.free > 0 && g.turns.Len() == 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	mine := q.waiters.PushBack(turn)
	if q.place == nil {
		q.place = g.turns.PushBack(q)
	}
	g.waiting++
	g.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return g.giveUp(q, mine, turn)
}

// giveUp takes a waiter out again; if its turn came meanwhile, the next gets it.
func (g *gate) giveUp(q *queue, mine *list.Element, turn chan struct{}) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn:
		g.free++
		g.admit()
	default:
		q.waiters.Remove(mine)
		g.waiting--
		if q.waiters.Len() == 0 {
			g.turns.Remove(q.place)
			q.place = nil
		}
	}
	return errTurn
}

// leave lets the next one through.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	g.admit()
}

// resize gives the gate more places, or takes some away as they get free.
func (g *gate) resize(more int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += more
	g.admit()
}

// admit gives free places to the jails in turn.
func (g *gate) admit() {
	for g.free > 0 && g.turns.Len() > 0 {
		q := g.turns.Front().Value.(*queue)
		turn := q.waiters.Remove(q.waiters.Front()).(chan struct{})
		if q.waiters.Len() > 0 {
			g.turns.MoveToBack(q.place)
		} else {
			g.turns.Remove(q.place)
			q.place = nil
		}
		g.free--
		g.waiting--
		close(turn)
	}
}

// counts says how many wait.
func (g *gate) counts() (waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}
