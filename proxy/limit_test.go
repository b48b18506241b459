package proxy

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrowdMakesRoomForTheNewer(t *testing.T) {
	var c crowd
	closed := make([]bool, 4)
	enter := func(i int) (*ticket, bool) { return c.enter(2, func() { closed[i] = true }) }
	first, _ := enter(0)
	second, _ := enter(1)
	if !first.speaks() {
		t.Fatal("the first had to go without need")
	}
	third, evicted := enter(2) // the second is the oldest that said nothing
	if third == nil || !evicted || closed[0] || !closed[1] {
		t.Fatalf("third %v, evicted %v, closed %v", third, evicted, closed)
	}
	if second.speaks() || second.leave() {
		t.Error("the second still has a place")
	}
	if !third.speaks() {
		t.Error("the third has none")
	}
	if fourth, _ := enter(3); fourth != nil {
		t.Error("room where all others have spoken")
	}
	if !first.leave() || !third.leave() || c.size() != 0 {
		t.Errorf("%d left in it", c.size())
	}
}

func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bucket{rate: 10, burst: 20}
		for i := range 20 {
			if wait, ok := b.reserve(time.Now(), 1, 0); !ok || wait != 0 {
				t.Fatalf("number %d of the burst: wait %v, %v", i, wait, ok)
			}
		}
		if _, ok := b.reserve(time.Now(), 1, 0); ok {
			t.Error("one more than the burst")
		}
		if wait, ok := b.reserve(time.Now(), 1, time.Second); !ok || wait != 100*time.Millisecond {
			t.Errorf("one more, patiently: wait %v, %v", wait, ok)
		}
		time.Sleep(time.Second)
		b.charge(time.Now(), 19) // 9 there, 10 owed
		if wait, ok := b.reserve(time.Now(), 0, 2*time.Second); !ok || wait != time.Second {
			t.Errorf("in debt: wait %v, %v", wait, ok)
		}
		time.Sleep(time.Hour)
		if _, ok := b.reserve(time.Now(), 21, 0); ok {
			t.Error("more than the burst after an hour")
		}
	})
}

// Jails take turns at a full gate, whatever each has waiting.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate{free: 1}
		var busy, honest queue
		if err := g.pass(t.Context(), &busy, time.Hour); err != nil {
			t.Fatal(err)
		}
		var order []string
		var all sync.WaitGroup
		come := func(q *queue, who string) {
			all.Go(func() {
				if err := g.pass(t.Context(), q, time.Hour); err != nil {
					t.Error(err)
				}
				order = append(order, who)
				g.leave()
			})
			synctest.Wait()
		}
		for range 30 {
			come(&busy, "busy")
		}
		come(&honest, "honest")
		if n := g.counts(); n != 31 {
			t.Errorf("%d wait", n)
		}
		g.leave()
		all.Wait()
		if order[1] != "honest" {
			t.Errorf("the honest one came after %v", order)
		}
		if g.free != 1 || g.counts() != 0 {
			t.Errorf("afterwards %d free, %d waiting", g.free, g.counts())
		}
	})
}

func TestGateForgetsWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate{free: 1}
		var a, b queue
		if err := g.pass(t.Context(), &a, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := g.pass(t.Context(), &a, time.Second); err != errTurn {
			t.Errorf("gave up with %v", err)
		}
		if g.counts() != 0 || g.turns.Len() != 0 {
			t.Errorf("%d wait, %d jails have a turn", g.counts(), g.turns.Len())
		}
		g.leave()
		if err := g.pass(t.Context(), &b, time.Hour); err != nil {
			t.Error(err)
		}
	})
}
