//go:build linux && privileged

package shape

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// node is the delay node that there is, when there is one.
func (r *rig) node() (n *node) {
	r.t.Helper()
	r.await("a delay node", func() bool {
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		n = r.keeper.node
		return n != nil
	})
	return n
}

// TestLaterChangeCounts: a change that waits for the node doesn't undo one that
// came meanwhile.
func TestLaterChangeCounts(t *testing.T) {
	r := newRig(t, 2)
	r.stop() // the same keeper goes on below: until then no node starts
	var changes sync.WaitGroup
	change := func(node string, words ...string) {
		if _, err := r.keeper.Change(r.ctx, experiment, "lan0", node, words); err != nil {
			t.Errorf("change %s: %v", node, err)
		}
	}
	for _, node := range [...]string{"node-a", "node-b"} {
		changes.Go(func() { change(node, "delay=10ms") })
	}
	r.await("both to wait", func() bool {
		list, err := r.keeper.Show(experiment, "lan0", "")
		return err == nil && list[0].Link.Shape.Out.Delay > 0 && list[1].Link.Shape.Out.Delay > 0
	})
	change("node-a", "none", "rate=100Mb")
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.keeper.Run(ctx)
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-ended })
	changes.Wait()
	if a, b := r.status(0), r.status(1); a.ByNode || !b.ByNode {
		t.Errorf("by the node: node-a %t, node-b %t; want the second alone", a.ByNode, b.ByNode)
	}
}

// TestNodeThatLiesIsEnded: a node that hangs is ended and replaced, whatever it
// said of its pid.
func TestNodeThatLiesIsEnded(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=10ms")
	old := r.node()
	r.keeper.mu.Lock()
	pid := old.pid
	old.pid = 1
	r.keeper.mu.Unlock()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
	_, _ = r.keeper.Change(r.ctx, experiment, "lan0", "node-a", []string{"delay=20ms"}) // it gets no answer
	r.await("another delay node", func() bool {
		r.keeper.mu.Lock()
		defer r.keeper.mu.Unlock()
		return r.keeper.node != nil && r.keeper.node != old
	})
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("the old one: %v", err)
	}
	if d := r.roundTrip(r.jails[0], r.jails[1]); d < 20*time.Millisecond {
		t.Errorf("round trip %s, want 20 ms", d)
	}
}
