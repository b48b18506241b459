package trafgen

import (
	"log/slog"
	"testing"
	"time"

	"emujail/jailsetup/event/clockjump"
	"emujail/protocol"
)

func TestTracker(t *testing.T) {
	for _, row := range []struct {
		name                        string
		seqs                        []uint64
		lost, reordered, duplicates int64
	}{
		{"in order", []uint64{0, 1, 2, 3}, 0, 0, 0},
		{"begins late", []uint64{7, 8}, 0, 0, 0},
		{"gap", []uint64{0, 1, 5}, 3, 0, 0},
		{"late makes up for the gap", []uint64{0, 2, 1, 3}, 0, 1, 0},
		{"twice", []uint64{0, 1, 1, 2}, 0, 0, 1},
		{"late twice", []uint64{0, 2, 1, 1}, 0, 1, 1},
		{"from before the first", []uint64{5, 3, 6}, 0, 1, 0},
		{"a large gap", []uint64{0, 100000, 100001}, 99999, 0, 0},
		{"too old to tell", []uint64{0, 100000, 1}, 99999, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			var tr tracker
			var c counts
			for _, s := range row.seqs {
				tr.add(header{run: 1, seq: s}, time.Now(), &c)
			}
			if c.lost != row.lost || c.reordered != row.reordered || c.duplicates != row.duplicates {
				t.Errorf("lost %d reordered %d duplicates %d, want %d %d %d",
					c.lost, c.reordered, c.duplicates, row.lost, row.reordered, row.duplicates)
			}
		})
	}
	t.Run("a new run begins anew", func(t *testing.T) {
		var tr tracker
		var c counts
		tr.add(header{run: 1, seq: 1000}, time.Now(), &c)
		tr.add(header{run: 2, seq: 0}, time.Now(), &c)
		tr.add(header{run: 2, seq: 1}, time.Now(), &c)
		if c.lost != 0 || c.duplicates != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestJitter(t *testing.T) {
	// Packets sent each 10 ms that take 0 and 16 ms in turn: |D| is 16 ms
	// each time, and J comes from below.
	var tr tracker
	var c counts
	base := time.Now()
	for i := range 200 {
		sent := base.Add(time.Duration(i) * 10 * time.Millisecond)
		got := sent.Add(time.Duration(i%2) * 16 * time.Millisecond)
		tr.add(header{run: 1, seq: uint64(i), sent: sent.UnixNano()}, got, &c)
	}
	if c.jitter < 15.9e6 || c.jitter > 16e6 {
		t.Errorf("jitter %.0f ns, want close to 16 ms", c.jitter)
	}
}

func TestHeaderBothWays(t *testing.T) {
	want := header{run: 7, size: 100, seq: 1 << 40, sent: time.Now().UnixNano()}
	buf := make([]byte, 100)
	want.put(buf)
	if got, ok := parseHeader(buf); !ok || got != want {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
	short := make([]byte, headerLen-1)
	want.put(short)
	if _, ok := parseHeader(short); ok {
		t.Error("a header in a packet that is too short")
	}
}

// TestShortPackets: what bears no number takes none, else the next long packet
// would show a gap.
func TestShortPackets(t *testing.T) {
	s := &source{seq: 5}
	s.passed(headerLen-1, 50)
	if s.seq != 5 {
		t.Errorf("seq %d after 50 packets without a header", s.seq)
	}
	s.passed(headerLen, 2)
	if s.seq != 7 {
		t.Errorf("seq %d after 2 with one", s.seq)
	}
}

// TestClockIsSet: neither the pace of a source nor the jitter that a sink finds
// is the wall clock's.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		f := newFlow(protocol.TrafGen{Name: "cbr0", Role: "source"}, slog.New(slog.DiscardHandler))
		end := &counter{}
		f.end, f.params.Interval = end, float64(10*time.Millisecond)
		f.base = clockjump.Behind(time.Now().Add(-100*time.Millisecond), by)
		f.pump()
		if end.packets < 11 || end.packets > 60 { // 11 are due, and more on a slow machine
			t.Errorf("by %v: %d packets in 100 ms at 10 ms each", by, end.packets)
		}

		var c counts
		k := &tracker{}
		now := time.Now()
		k.add(header{run: 1, seq: 0, sent: 0}, now, &c)
		k.epoch = clockjump.Behind(k.epoch, by)
		k.add(header{run: 1, seq: 1, sent: int64(time.Second)}, now.Add(time.Second), &c)
		if c.jitter != 0 {
			t.Errorf("by %v: a jitter of %v", by, time.Duration(c.jitter))
		}
	}
}

// counter is an endpoint that counts.
type counter struct{ packets int }

func (c *counter) send(_ Params, n int) (int, error) { c.packets += n; return n, nil }
func (c *counter) setTOS(int) error                  { return nil }
func (c *counter) close()                            {}
