package supervise

import (
	"slices"
	"testing"
)

// Of two who clean, the second finds that no boot begins any more; where cleaning
// failed they begin again.
func TestEndBoots(t *testing.T) {
	busy := make(chan struct{}, 1)
	busy <- struct{}{}
	s := &Supervisor{
		boots: make(chan struct{}), slots: make(chan struct{}, 1),
		locks: map[string]chan struct{}{"": busy, "pcvm1-1": busy, "pcvm1-2": make(chan struct{}, 1)},
	}
	take := func() error {
		p := place{slots: s.slots, none: s.noBoots()}
		err := p.take(t.Context())
		p.give()
		return err
	}
	for range 2 {
		if got := s.endBoots(); !slices.Equal(got, []string{"pcvm1-1"}) {
			t.Errorf("a verb is at %q", got)
		}
		if err := take(); err != errCleaning {
			t.Errorf("a boot begins: %v", err)
		}
	}
	s.allowBoots()
	if err := take(); err != nil {
		t.Error(err)
	}
}
