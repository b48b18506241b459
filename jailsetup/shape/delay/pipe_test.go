package delay

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

const msec = int64(time.Millisecond)

// numbered is a small frame that carries a number.
func numbered(n int) []byte {
	f := make([]byte, headerLen+60)
	binary.BigEndian.PutUint32(f[headerLen+20:], uint32(n))
	return f
}

func number(p packet) int { return int(binary.BigEndian.Uint32(p.data[headerLen+20:])) }

func heap(n int) ([]byte, error) { return make([]byte, n), nil }

func queueOf(p Pipe) *queue { return newQueue(p, &store{grow: heap}) }

// drain takes what is due and gives the numbers.
func drain(q *queue, now int64) []int {
	var got []int
	for {
		p, ok := q.due(now)
		if !ok {
			return got
		}
		got = append(got, number(p))
		q.sent(p)
	}
}

func TestDelayIsExactAndInOrder(t *testing.T) {
	q := queueOf(Pipe{Delay: 10 * time.Millisecond})
	for n := range 100 {
		q.arrive(int64(n)*msec, numbered(n))
	}
	if due, ok := q.next(); !ok || due != 10*msec {
		t.Fatalf("first is due at %d, %v", due, ok)
	}
	if got := drain(q, 10*msec-1); len(got) != 0 {
		t.Fatalf("%v came early", got)
	}
	for n := range 100 {
		if got := drain(q, int64(n+10)*msec); !slices.Equal(got, []int{n}) {
			t.Fatalf("at %d ms: %v", n+10, got)
		}
	}
	if c := q.counters(); c.Packets != 100 || c.Bytes != 6000 || c.Waiting != 0 || q.held.bytes() != 0 {
		t.Errorf("counters %+v, %d bytes held", c, q.held.bytes())
	}
}

func TestJitterSpreadsAndReorders(t *testing.T) {
	q := queueOf(Pipe{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Seed: 1})
	for n := range 1000 {
		q.arrive(0, numbered(n))
	}
	low, high := int64(math.MaxInt64), int64(0)
	for _, p := range q.waiting {
		low, high = min(low, p.due), max(high, p.due)
	}
	if low < 5*msec || low > 6*msec || high > 15*msec || high < 14*msec {
		t.Errorf("due from %d to %d ns, want 5 to 15 ms", low, high)
	}
	got := drain(q, 15*msec)
	if len(got) != 1000 || slices.IsSorted(got) {
		t.Errorf("%d came, in the order of sending: %v", len(got), slices.IsSorted(got))
	}
}

// TestHeapKeepsTime: whatever the order of arrival, frames leave by their time.
func TestHeapKeepsTime(t *testing.T) {
	q := queueOf(Pipe{Delay: time.Second, Jitter: time.Second, Seed: 3})
	for n := range 5000 {
		q.arrive(int64(n)*1000, numbered(n))
	}
	last := int64(0)
	for {
		p, ok := q.due(math.MaxInt64)
		if !ok {
			break
		}
		if p.due < last {
			t.Fatalf("%d after %d", p.due, last)
		}
		last = p.due
		q.sent(p)
	}
}

// TestChange: a shorter delay holds for what waits, too, and overtakes nothing.
func TestChange(t *testing.T) {
	q := queueOf(Pipe{Delay: time.Second})
	for n := range 10 {
		q.arrive(int64(n)*msec, numbered(n))
	}
	q.set(Pipe{Delay: 5 * time.Millisecond}, 10*msec)
	q.arrive(11*msec, numbered(10))
	if got := drain(q, 15*msec-1); len(got) != 0 {
		t.Errorf("%v came before the new delay", got)
	}
	if got := drain(q, 16*msec); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("got %v", got)
	}
	q.set(Pipe{Delay: time.Second}, 20*msec)
	q.arrive(20*msec, numbered(11))
	q.set(Pipe{Delay: 900 * time.Millisecond}, 21*msec)
	q.arrive(21*msec, numbered(12))
	if got := drain(q, 921*msec); !slices.Equal(got, []int{11, 12}) {
		t.Errorf("got %v", got)
	}
}

func TestLossIsASharedRoll(t *testing.T) {
	lost := func(seed uint64) (n int, which []int) {
		q := queueOf(Pipe{Loss: 0.05, Seed: seed})
		for i := range 20000 {
			q.arrive(0, numbered(i))
		}
		return int(q.count.Lost), drain(q, 0)
	}
	n, first := lost(7)
	if sigma := math.Sqrt(20000 * 0.05 * 0.95); math.Abs(float64(n)-1000) > 4*sigma {
		t.Errorf("lost %d of 20000, want 1000 ± %.0f", n, 4*sigma)
	}
	if _, again := lost(7); !slices.Equal(first, again) {
		t.Error("the same seed loses other packets")
	}
	if _, other := lost(8); slices.Equal(first, other) {
		t.Error("another seed loses the same packets")
	}
	q := queueOf(Pipe{Loss: 1})
	q.arrive(0, numbered(0))
	if q.count.Lost != 1 || len(q.waiting) != 0 {
		t.Error("loss 1 lets something through")
	}
}

func TestBounds(t *testing.T) {
	q := queueOf(Pipe{Delay: time.Second, MaxBytes: 10 * 256})
	for n := range 15 {
		q.arrive(0, numbered(n))
	}
	if c := q.counters(); c.Waiting != 10 || c.Overflow != 5 {
		t.Errorf("%+v, want 10 waiting and 5 refused", c)
	}
	full := newQueue(Pipe{Delay: time.Second}, &store{grow: func(int) ([]byte, error) { return nil, errors.New("no memory") }})
	full.arrive(0, numbered(0))
	if full.count.Overflow != 1 {
		t.Errorf("%+v: without memory a frame is dropped, and counted", full.count)
	}
	q.clear()
	if q.held.bytes() != 0 || len(q.waiting) != 0 {
		t.Error("clear leaves something")
	}
}

func TestStoreKeepsWhatItHas(t *testing.T) {
	grown := 0
	s := &store{grow: func(n int) ([]byte, error) { grown++; return make([]byte, n), nil }}
	var h holding
	for range 10_000 {
		for _, n := range [...]int{60, 1500, 9000, 65000} {
			b := s.take(n, maxPipeBytes, &h)
			if len(b) != n {
				t.Fatalf("%d bytes for %d", len(b), n)
			}
			s.give(b, &h)
		}
	}
	if grown != len(chunkSizes) {
		t.Errorf("memory was obtained %d times, want once a size", grown)
	}
	if s.take(maxFrame+1, maxPipeBytes, &h) != nil {
		t.Error("a frame larger than the largest")
	}
	if h.bytes() != 0 || s.out.bytes() != 0 {
		t.Errorf("holds %v of %v", h, s.out)
	}
}

// TestStoreIsShared: queues that take what they get leave room to one that asks
// for little, of any size, meanwhile and afterwards (T16).
func TestStoreIsShared(t *testing.T) {
	for greedy, frame := range map[string]int{"small frames": 60, "usual ones": 1500, "large ones": 65000} {
		t.Run(greedy, func(t *testing.T) {
			s := &store{grow: heap}
			var flood []*queue
			for range 20 {
				q := newQueue(Pipe{Delay: 10 * time.Second}, s)
				for q.count.Overflow == 0 {
					q.arrive(0, append(numbered(0), make([]byte, frame)...))
				}
				flood = append(flood, q)
			}
			modest := newQueue(Pipe{Delay: 10 * time.Second}, s)
			little := func() {
				t.Helper()
				for _, n := range [...]int{0, 1500, 9000, 65000} {
					for range 15 {
						modest.arrive(0, append(numbered(0), make([]byte, n)...))
					}
				}
				if c := modest.counters(); c.Overflow != 0 || c.Waiting != 60 {
					t.Errorf("of 60 frames: %+v", c)
				}
				modest.clear()
			}
			little()
			for _, q := range flood {
				q.clear()
			}
			little()
		})
	}
}

func TestBadFrames(t *testing.T) {
	large := func(kind byte) []byte {
		f := make([]byte, headerLen+3000)
		f[0], f[1] = needsChecksum, kind
		binary.NativeEndian.PutUint16(f[4:], 1448)
		binary.NativeEndian.PutUint16(f[6:], 34)
		binary.NativeEndian.PutUint16(f[8:], 16)
		return f
	}
	noSize := large(gsoTCP4)
	binary.NativeEndian.PutUint16(noSize[4:], 0)
	for name, f := range map[string][]byte{
		"empty": {}, "short": make([]byte, headerLen+13), "no segment size": noSize,
		"unknown kind": large(9), "no protocol": large(gsoTCP4),
	} {
		q := queueOf(Pipe{Loss: 0.5, Seed: 1})
		q.arrive(0, f)
		if q.count.Bad != 1 || len(q.waiting) != 0 {
			t.Errorf("%s: %+v", name, q.count)
		}
	}
}

func FuzzArrive(f *testing.F) {
	f.Add(numbered(1), true)
	f.Add(tcp4(3000, 1448), true)
	f.Add(tcp6(5000, 1428), true)
	f.Add(udp4(4000, 1000), false)
	f.Fuzz(func(t *testing.T, frame []byte, cut bool) {
		if len(frame) > maxFrame {
			return // the receiver takes none
		}
		p := Pipe{Delay: time.Millisecond}
		if cut {
			p.Jitter = time.Microsecond
		}
		q := queueOf(p)
		q.arrive(0, frame)
		drainAll := 0
		for {
			pk, ok := q.due(math.MaxInt64)
			if !ok {
				break
			}
			q.sent(pk)
			drainAll++
		}
		if q.held.bytes() != 0 || uint64(drainAll) > 0 && q.count.Packets == 0 {
			t.Errorf("%d frames, %+v, %d bytes held", drainAll, q.count, q.held.bytes())
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, bb := range []struct {
		name string
		pipe Pipe
	}{{"delay", Pipe{Delay: 10 * time.Millisecond}}, {"jitter", Pipe{Delay: 10 * time.Millisecond, Jitter: 2 * time.Millisecond}}} {
		b.Run(bb.name, func(b *testing.B) {
			q, f, now := queueOf(bb.pipe), numbered(1), int64(0)
			b.ReportAllocs()
			for b.Loop() {
				q.arrive(now, f)
				for p, ok := q.due(now); ok; p, ok = q.due(now) {
					q.sent(p)
				}
				now += 10_000 // 100,000 frames a second: 1,000 wait
			}
		})
	}
}
