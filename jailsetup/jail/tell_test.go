package jail

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestLateWordsComeFirst: what is told of a vnode beside everything else is waited
// for by that vnode's next boot, and by nobody else.
func TestLateWordsComeFirst(t *testing.T) {
	var group sync.WaitGroup
	h := &Host{Hands: Hands{Later: group.Go}}
	heard := make(chan struct{})
	h.tellLater(t.Context(), "pcvm1-1", func(context.Context) { <-heard })
	over := errors.New("it waits")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	for _, row := range []struct {
		vnode string
		want  error
	}{{"pcvm1-1", over}, {"pcvm1-2", nil}} {
		if err := h.late.await(ctx, row.vnode); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.vnode, err, row.want)
		}
	}
	close(heard)
	if err := h.late.await(t.Context(), "pcvm1-1"); err != nil {
		t.Error(err)
	}
	group.Wait()
	if err := h.late.await(ctx, "pcvm1-1"); err != nil {
		t.Errorf("once tmcd has heard: %v", err)
	}
}
