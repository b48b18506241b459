package shape

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what can be asked for.
const (
	MaxDelay = 10 * time.Second // and of jitter; as the original's shaper
	MaxRate  = 100_000_000      // kbit/s
	MaxSlots = 10_000           // packets in a queue
	MaxQueue = 16 << 20         // bytes in a queue
	minQueue = 1600             // bytes: one packet
)

// DefaultSlots is the queue where none is named, in packets; the original's.
const DefaultSlots = 50

// Shape is what happens in one direction of a link. The zero Shape passes
// everything.
type Shape struct {
	Rate   int           `json:"rate,omitempty"` // kbit/s; 0: no limit
	Delay  time.Duration `json:"delay,omitempty"`
	Jitter time.Duration `json:"jitter,omitempty"` // each packet's delay is Delay ± Jitter
	Loss   float64       `json:"loss,omitempty"`   // share of packets, 0 to 1
	Seed   uint64        `json:"seed,omitempty"`   // of the dice; 0: none in particular
	Queue  Queue         `json:"queue"`
}

// Queue is what waits for a rate to let it through. It counts only where there
// is a rate.
type Queue struct {
	Slots int  `json:"slots,omitempty"` // packets; 0, and no Bytes: DefaultSlots
	Bytes int  `json:"bytes,omitempty"` // instead of Slots
	RED   *RED `json:"red,omitempty"`   // nil: drop what doesn't fit
}

// RED drops early, before the queue is full. The thresholds count what the
// queue counts: packets or bytes.
type RED struct {
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Weight  float64 `json:"weight"`
	LinTerm float64 `json:"lin_term"` // one of so many is dropped at Max
	Gentle  bool    `json:"gentle,omitempty"`
}

// Both is a link's two directions as the node sees them.
type Both struct {
	Out Shape `json:"out"` // what the node sends
	In  Shape `json:"in"`  // what it gets
}

// Plain tells whether nothing is shaped.
func (b Both) Plain() bool { return b.Out.Plain() && b.In.Plain() }

// Check says what of the shape can't be.
func (s Shape) Check() error {
	switch {
	case s.Rate < 0 || s.Rate > MaxRate:
		return fmt.Errorf("rate %d kbit/s: want 1 to %d, or 0 for no limit", s.Rate, MaxRate)
	case s.Delay < 0 || s.Delay > MaxDelay:
		return fmt.Errorf("delay %s: want 0 to %s", s.Delay, MaxDelay)
	case s.Jitter < 0 || s.Jitter > MaxDelay:
		return fmt.Errorf("jitter %s: want 0 to %s", s.Jitter, MaxDelay)
	case s.Jitter > s.Delay:
		return fmt.Errorf("jitter %s: more than the delay, %s", s.Jitter, s.Delay)
	case !(s.Loss >= 0 && s.Loss <= 1):
		return fmt.Errorf("loss %v: want a share of the packets, 0 to 1", s.Loss)
	}
	return s.Queue.check(s.Rate)
}

func (q Queue) check(rate int) error {
	switch {
	case q.Slots != 0 && q.Bytes != 0:
		return errors.New("queue: want packets or bytes, not both")
	case q.Slots < 0 || q.Slots > MaxSlots:
		return fmt.Errorf("queue of %d packets: want 1 to %d", q.Slots, MaxSlots)
	case q.Bytes != 0 && (q.Bytes < minQueue || q.Bytes > MaxQueue):
		return fmt.Errorf("queue of %d bytes: want %d to %d", q.Bytes, minQueue, MaxQueue)
	case q.RED == nil:
		return nil
	case rate == 0:
		return errors.New("RED: needs a rate, without one there is no queue")
	}
	return q.RED.check()
}

func (r RED) check() error {
	switch {
	case !(r.Min >= 0 && r.Min < r.Max && r.Max <= MaxQueue):
		return fmt.Errorf("RED thresholds %v and %v: want the lower one first, at least 0", r.Min, r.Max)
	case !(r.Weight > 0 && r.Weight <= 1):
		return fmt.Errorf("RED weight %v: want more than 0, at most 1", r.Weight)
	case !(r.LinTerm >= 1 && r.LinTerm <= 1e6):
		return fmt.Errorf("RED linterm %v: want 1 to 1000000, one packet of so many is dropped", r.LinTerm)
	}
	return nil
}

// Check says which direction can't be, and why.
func (b Both) Check() error {
	if err := b.Out.Check(); err != nil {
		return fmt.Errorf("out: %w", err)
	}
	if err := b.In.Check(); err != nil {
		return fmt.Errorf("in: %w", err)
	}
	return nil
}

// Plain tells a shape that passes everything at once.
func (s Shape) Plain() bool { return s.Rate == 0 && s.Delay == 0 && s.Jitter == 0 && s.Loss == 0 }

// slots and bytes are the queue's length with the default filled in.
func (q Queue) slots() int {
	if q.Slots == 0 && q.Bytes == 0 {
		return DefaultSlots
	}
	return q.Slots
}

// String is the shape in the words that [Parse] reads.
func (s Shape) String() string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if s.Rate > 0 {
		add("rate=%s", rateWord(s.Rate))
	}
	if s.Delay > 0 {
		add("delay=%s", delayWord(s.Delay))
	}
	if s.Jitter > 0 {
		add("jitter=%s", delayWord(s.Jitter))
	}
	if s.Loss > 0 {
		add("loss=%v", s.Loss)
	}
	if s.Seed != 0 {
		add("seed=%d", s.Seed)
	}
	if s.Rate > 0 {
		if s.Queue.Bytes > 0 {
			add("queue=%dB", s.Queue.Bytes)
		} else {
			add("queue=%d", s.Queue.slots())
		}
		if r := s.Queue.RED; r != nil {
			add("red=on minthresh=%v maxthresh=%v weight=%v linterm=%v", r.Min, r.Max, r.Weight, r.LinTerm)
			if r.Gentle {
				add("gentle=on")
			}
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

func rateWord(kbit int) string {
	switch {
	case kbit%1_000_000 == 0:
		return fmt.Sprintf("%dGb", kbit/1_000_000)
	case kbit%1000 == 0:
		return fmt.Sprintf("%dMb", kbit/1000)
	}
	return fmt.Sprintf("%dkb", kbit)
}

func delayWord(d time.Duration) string {
	return fmt.Sprintf("%vms", float64(d)/float64(time.Millisecond))
}
