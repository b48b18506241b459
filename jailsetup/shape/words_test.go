package shape

import (
	"strings"
	"testing"
	"time"
)

func TestWordsOfANode(t *testing.T) {
	start := Both{Out: Shape{Rate: 1000, Delay: 10 * time.Millisecond}, In: Shape{Loss: 0.5}}
	tests := []struct {
		name  string
		words string
		out   string
		in    string
		err   string
	}{
		{"both ways", "delay=20ms", "rate=1Mb delay=20ms queue=50", "delay=20ms loss=0.5", ""},
		{"one way each", "out.delay=1.5 in.loss=1%", "rate=1Mb delay=1.5ms queue=50", "loss=0.01", ""},
		{"rates", "out.rate=2.5Gb in.rate=300", "rate=2500Mb delay=10ms queue=50", "rate=300kb loss=0.5 queue=50", ""},
		{"no rate", "rate=none", "delay=10ms", "loss=0.5", ""},
		{"none", "none", "none", "none", ""},
		{"none, then one", "out.none out.delay=500us", "delay=0.5ms", "loss=0.5", ""},
		{"queue of bytes", "rate=10Mb queue=100kB", "rate=10Mb delay=10ms queue=100000B", "rate=10Mb loss=0.5 queue=100000B", ""},
		{"RED", "out.red=on out.maxthresh=20 out.gentle=on", "rate=1Mb delay=10ms queue=50 red=on minthresh=5 maxthresh=20 weight=0.002 linterm=10 gentle=on", "loss=0.5", ""},
		{"jitter and seed", "out.jitter=2ms out.seed=9", "rate=1Mb delay=10ms jitter=2ms seed=9 queue=50", "loss=0.5", ""},
		{"nothing", "", "", "", "want words like"},
		{"no value", "delay", "", "", `"delay": want KEY=VALUE`},
		{"no key", "speed=5", "", "", `"speed=5": not a key`},
		{"no time", "delay=soon", "", "", `want a time`},
		{"too long", "delay=11s", "", "", `delay 11s: want 0 to 10s`},
		{"not a number", "delay=NaN", "", "", `want 0 to 10000 ms`},
		{"negative", "delay=-5ms", "", "", `want a time`},
		{"unit of bytes", "rate=10Furlong", "", "", `want a rate in bits`},
		{"too fast", "rate=200Gb", "", "", `want 1 kbit/s to 100 Gbit/s`},
		{"loses too much", "loss=1.5", "", "", `want a share`},
		{"jitter above delay", "out.jitter=20ms", "", "", `out: jitter 20ms: more than the delay`},
		{"RED without a rate", "in.red=on", "", "", `in: RED: needs a rate`},
		{"RED's word without RED", "gentle=on", "", "", `counts with red=on only`},
		{"thresholds crossed", "out.red=on out.minthresh=30", "", "", `RED thresholds 30 and 15`},
		{"queue without a rate", "rate=none queue=5", "", "", `"queue=5": needs a rate`},
		{"queue of nothing", "queue=0", "", "", `want 1 to 10000 packets`},
		{"tiny queue", "queue=10B", "", "", `want 1600 to`},
		{"half a packet", "queue=2.5", "", "", `want a whole number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Words(strings.Fields(tt.words)).Node(start)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Out.String() != tt.out || got.In.String() != tt.in {
				t.Errorf("out %q, want %q\nin  %q, want %q", got.Out, tt.out, got.In, tt.in)
			}
		})
	}
}

// TestStringIsWords: what is shown can be said.
func TestStringIsWords(t *testing.T) {
	for _, s := range []Shape{
		{},
		{Rate: 1500, Delay: 1234 * time.Microsecond, Jitter: time.Millisecond, Loss: 0.001, Seed: 4, Queue: Queue{Slots: 12}},
		{Rate: 1e6, Queue: Queue{Bytes: 20000, RED: &RED{Min: 1, Max: 2, Weight: 0.5, LinTerm: 3, Gentle: true}}},
	} {
		got, err := Words(append([]string{"none"}, strings.Fields(s.String())...)).Node(Both{Out: Shape{Loss: 1}})
		if err != nil || got.Out.String() != s.String() {
			t.Errorf("%q became %q, %v", s, got.Out, err)
		}
	}
}

// TestWordsOfALink: what a packet meets from node to node, it meets once.
func TestWordsOfALink(t *testing.T) {
	start := Both{
		Out: Shape{Delay: 10 * time.Millisecond, Loss: 0.1},
		In:  Shape{Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.2},
	}
	tests := []struct{ name, words, out, in string }{
		{"delay", "delay=20ms", "delay=20ms loss=0.1", "loss=0.2"},
		{"loss", "loss=0", "delay=10ms", "delay=5ms jitter=1ms"},
		{"rate at both ends", "rate=10Mb queue=20", "rate=10Mb delay=10ms loss=0.1 queue=20", "rate=10Mb delay=5ms jitter=1ms loss=0.2 queue=20"},
		{"drops early once", "none rate=1Mb red=on", "rate=1Mb queue=50 red=on minthresh=5 maxthresh=15 weight=0.002 linterm=10", "rate=1Mb queue=50"},
		{"by direction", "in.delay=0 in.jitter=0", "delay=10ms loss=0.1", "loss=0.2"},
		{"none", "none", "none", "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Words(strings.Fields(tt.words)).Link(start)
			if err != nil {
				t.Fatal(err)
			}
			if got.Out.String() != tt.out || got.In.String() != tt.in {
				t.Errorf("out %q, want %q\nin  %q, want %q", got.Out, tt.out, got.In, tt.in)
			}
		})
	}
}
