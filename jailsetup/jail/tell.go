package jail

import (
	"context"
	"sync"
	"time"
)

// What tmcd is told of a vnode besides BOOTING. A report that fails is logged:
// the deed goes on.

// Deadlines of reports (jail.md §7.2).
const (
	shutdownReport = 2 * time.Second // for telling tmcd SHUTDOWN or TBFAILED
	bootlogReport  = 5 * time.Second
)

// report tells tmcd a state, as well as it can be reached in the time that the
// original gave it.
func (h *Host) report(ctx context.Context, vnode, state string) {
	ctx, cancel := context.WithTimeout(ctx, shutdownReport)
	defer cancel()
	if err := h.Tmcd.State(ctx, vnode, state); err != nil {
		h.Log.Warn("state not reported", "vnode", vnode, "state", state, "error", err)
	}
}

func (h *Host) sendLog(ctx context.Context, vnode, text string) {
	ctx, cancel := context.WithTimeout(ctx, bootlogReport)
	defer cancel()
	if err := h.Tmcd.BootLog(ctx, vnode, []byte(text)); err != nil {
		h.Log.Warn("boot log not sent", "vnode", vnode, "error", err)
	}
}

// tellFailed reports TBFAILED with the reason and the last steps.
func (h *Host) tellFailed(ctx context.Context, vnode string, t *tracer, why error) {
	ctx = context.WithoutCancel(ctx) // each has a deadline of its own
	h.report(ctx, vnode, "TBFAILED")
	h.sendLog(ctx, vnode, "boot failed: "+why.Error()+"\nlast steps:\n"+Tail(t.events))
}

// lateWords are reports on their way beside everything else.
type lateWords struct {
	mu   sync.Mutex
	ends map[string]chan struct{} // by vnode; closed when tmcd has heard, or can't
}

// tellLater has tmcd told beside everything else, for a tmcd that is away keeps
// nobody else waiting. The vnode's next boot comes after it.
func (h *Host) tellLater(ctx context.Context, vnode string, tell func(context.Context)) {
	ctx = context.WithoutCancel(ctx) // each report has a deadline of its own
	if h.Hands.Later == nil {
		tell(ctx)
		return
	}
	ended := h.late.begin(vnode)
	h.Hands.Later(func() {
		defer ended()
		tell(ctx)
	})
}

func (l *lateWords) begin(vnode string) (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends == nil {
		l.ends = map[string]chan struct{}{}
	}
	end := make(chan struct{})
	l.ends[vnode] = end
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ends, vnode)
		close(end)
	}
}

// await waits until nothing is on its way of the vnode's: tmcd mustn't hear of an
// end after the next beginning.
func (l *lateWords) await(ctx context.Context, vnode string) error {
	l.mu.Lock()
	end := l.ends[vnode]
	l.mu.Unlock()
	if end == nil {
		return nil
	}
	select {
	case <-end:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
