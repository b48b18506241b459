package delay

import (
	"math/rand/v2"
)

// maxPipeBytes bounds what waits in one direction of one link; of chunks of one
// size the store allows less, see [store].
const maxPipeBytes = 64 << 20

// packet is a frame that waits: a vnet header, then the frame.
type packet struct {
	due  int64 // ns on the loop's clock
	seq  uint64
	data []byte // a chunk of the store
}

// queue is one direction of a link: a pipe's rules, and what waits in it. It
// knows no sockets and no clock: time is what it is told.
type queue struct {
	pipe    Pipe
	dice    *rand.Rand
	red     redState
	store   *store
	waiting []packet // heap by due, then by seq
	held    holding  // memory of what waits
	lastDue int64
	seq     uint64
	offered uint64 // packets, after cutting
	count   Counters
}

func newQueue(p Pipe, s *store) *queue {
	q := &queue{store: s}
	q.set(p, 0)
	return q
}

// set replaces the rules. What waits keeps its order, and none waits longer
// than the new delay.
func (q *queue) set(p Pipe, now int64) {
	if p.MaxBytes <= 0 || p.MaxBytes > maxPipeBytes {
		p.MaxBytes = maxPipeBytes
	}
	if q.dice == nil || p.Seed != q.pipe.Seed {
		seed := p.Seed
		if seed == 0 {
			seed = rand.Uint64()
		}
		q.dice = rand.New(rand.NewPCG(seed, seed))
	}
	q.pipe = p
	// Cutting off at one time keeps the heap a heap.
	latest := now + int64(p.Delay+p.Jitter)
	for i := range q.waiting {
		q.waiting[i].due = min(q.waiting[i].due, latest)
	}
	q.lastDue = min(q.lastDue, latest)
	q.red.set(p.RED, now)
}

// cuts tells whether a large frame must be cut into its segments: each has its
// own fate.
func (q *queue) cuts() bool { return q.pipe.Loss > 0 || q.pipe.Jitter > 0 || q.pipe.RED != nil }

// arrive takes a frame with its vnet header. The bytes are the caller's.
func (q *queue) arrive(now int64, frame []byte) {
	h, err := parseHeader(frame)
	if err != nil {
		q.count.Bad++
		return
	}
	if h.gso == gsoNone || !q.cuts() {
		q.enter(now, frame, h.wire(len(frame)-headerLen))
		return
	}
	err = segment(q.store.scratch[:], frame, h, func(seg []byte) { q.enter(now, seg, wire{1, len(seg) - headerLen}) })
	if err != nil {
		q.count.Bad++
	}
}

// enter decides a frame's fate and lets it wait.
func (q *queue) enter(now int64, frame []byte, w wire) {
	q.offered++
	if q.pipe.Loss > 0 && q.dice.Float64() < q.pipe.Loss {
		q.count.Lost += uint64(w.packets)
		return
	}
	if q.pipe.RED != nil {
		switch q.red.arrive(now, w.bytes, q.dice) {
		case redEarly:
			q.count.Early += uint64(w.packets)
			return
		case redFull:
			q.count.Overflow += uint64(w.packets)
			return
		}
	}
	room := q.pipe.MaxBytes - q.held.bytes()
	data := q.store.take(len(frame), room, &q.held)
	if data == nil {
		q.count.Overflow += uint64(w.packets)
		return
	}
	copy(data, frame)
	q.seq++
	q.push(packet{due: q.dueOf(now), seq: q.seq, data: data})
}

// dueOf rolls a frame's time. Without jitter the order stays, also across a
// change.
func (q *queue) dueOf(now int64) int64 {
	due := now + int64(q.pipe.Delay)
	if j := int64(q.pipe.Jitter); j > 0 {
		return max(now, due+q.dice.Int64N(2*j+1)-j)
	}
	q.lastDue = max(due, q.lastDue)
	return q.lastDue
}

// next is when the first frame is due; false: none waits.
func (q *queue) next() (int64, bool) {
	if len(q.waiting) == 0 {
		return 0, false
	}
	return q.waiting[0].due, true
}

// due takes the first frame if its time has come. The caller gives it back by
// sent or by dropped.
func (q *queue) due(now int64) (packet, bool) {
	if len(q.waiting) == 0 || q.waiting[0].due > now {
		return packet{}, false
	}
	return q.pop(), true
}

func (q *queue) sent(p packet) {
	h, _ := parseHeader(p.data) // checked when it came
	w := h.wire(len(p.data) - headerLen)
	q.count.Packets += uint64(w.packets)
	q.count.Bytes += uint64(w.bytes)
	q.free(p)
}

func (q *queue) dropped(p packet) {
	h, _ := parseHeader(p.data)
	q.count.Overflow += uint64(h.wire(len(p.data) - headerLen).packets)
	q.free(p)
}

func (q *queue) free(p packet) {
	q.store.give(p.data, &q.held)
}

// clear drops everything, when the link goes.
func (q *queue) clear() {
	for _, p := range q.waiting {
		q.free(p)
	}
	q.waiting = nil
}

func (q *queue) counters() Counters {
	c := q.count
	c.Waiting = len(q.waiting)
	return c
}

func before(a, b packet) bool { return a.due < b.due || a.due == b.due && a.seq < b.seq }

// push and pop are container/heap's, without an interface a frame.
func (q *queue) push(p packet) {
	q.waiting = append(q.waiting, p)
	w := q.waiting
	for i := len(w) - 1; i > 0; {
		up := (i - 1) / 2
		if !before(w[i], w[up]) {
			return
		}
		w[i], w[up] = w[up], w[i]
		i = up
	}
}

func (q *queue) pop() packet {
	w := q.waiting
	first, last := w[0], len(w)-1
	w[0], w[last] = w[last], packet{}
	w = w[:last]
	q.waiting = w
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if before(w[child], w[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		w[i], w[least] = w[least], w[i]
		i = least
	}
}
