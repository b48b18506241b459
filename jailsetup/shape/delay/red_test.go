package delay

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRED offers packets of 1,000 bytes at a share of the rate and looks at
// what is dropped.
func TestRED(t *testing.T) {
	base := RED{Rate: 8_000_000, Limit: 50, Min: 5, Max: 15, Weight: 0.002, MaxProb: 0.1} // 1 ms a packet
	gentle, inBytes := base, base
	gentle.Gentle = true
	inBytes.Bytes, inBytes.Limit, inBytes.Min, inBytes.Max = true, 50_000, 5000, 15_000
	tests := []struct {
		name        string
		red         RED
		load        float64
		early, full [2]int // at least, at most, of 20,000
	}{
		{"below the rate", base, 0.9, [2]int{0, 0}, [2]int{0, 0}},
		{"a little above", base, 1.05, [2]int{800, 1100}, [2]int{0, 60}},
		{"twice", base, 2, [2]int{9000, 10_100}, [2]int{0, 400}},
		{"twice, gently", gentle, 2, [2]int{9000, 10_100}, [2]int{0, 400}},
		{"twice, in bytes", inBytes, 2, [2]int{9000, 10_100}, [2]int{0, 400}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s redState
			s.set(&tt.red, 0)
			dice := rand.New(rand.NewPCG(1, 1))
			early, full := 0, 0
			for i := range 20_000 {
				now := int64(float64(i) / tt.load * float64(time.Millisecond))
				switch s.arrive(now, 1000, dice) {
				case redEarly:
					early++
				case redFull:
					full++
				}
			}
			t.Logf("%d early, %d full, average %.1f", early, full, s.avg)
			if early < tt.early[0] || early > tt.early[1] || full < tt.full[0] || full > tt.full[1] {
				t.Errorf("%d early, %d full of 20000; want %v and %v", early, full, tt.early, tt.full)
			}
		})
	}
}

// TestREDForgets: after a pause the average is small again.
func TestREDForgets(t *testing.T) {
	var s redState
	s.set(&RED{Rate: 8_000_000, Limit: 50, Min: 5, Max: 15, Weight: 0.002, MaxProb: 0.1}, 0)
	dice := rand.New(rand.NewPCG(1, 1))
	for i := range 10_000 {
		s.arrive(int64(i)*msec/2, 1000, dice)
	}
	if s.avg < 5 {
		t.Fatalf("average %.1f under twice the rate", s.avg)
	}
	s.arrive(20_000*msec, 1000, dice)
	if s.avg > 0.1 {
		t.Errorf("average %.1f after 15 s of silence", s.avg)
	}
}
