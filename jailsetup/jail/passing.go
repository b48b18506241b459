package jail

import (
	"context"
	"errors"
	"fmt"

	"emujail/protocol"
)

// A vnode's id passes from one experiment to another. Boss kills the vnode on its
// host before, but the host may have missed that. So whoever boots a vnode holds
// what there is of it against what tmcd says: nothing that one experiment has left
// is the next one's (peers.md T50), and what is destroyed is what kill destroys.

// passedTo tells whether the record is of another experiment's jail than the one
// that tmcd says the vnode is in. Half an answer says nothing: its line has no end,
// which is no status.
func (r Record) passedTo(s protocol.Status) bool {
	return r.Boot > 0 && (r.Project != s.PID || r.Experiment != s.EID)
}

// makeWay destroys what there is of the vnode, which is down, if it was another
// experiment's. The record is a new one then.
func (h *Host) makeWay(ctx context.Context, r Record, s protocol.Status, t *tracer) (Record, error) {
	if !r.passedTo(s) {
		return r, nil
	}
	h.logPassing(r, s)
	err := t.step(fmt.Sprintf("destroy the disk of %s/%s, whose %s was", r.Project, r.Experiment, r.VNode), func() error {
		return h.destroy(ctx, r.VNode)
	})
	if err != nil {
		return r, err
	}
	return Record{VNode: r.VNode}, nil
}

// evict ends a jail that runs if its vnode is another experiment's by now; else it
// runs already. A tmcd that doesn't say changes nothing. What the jail leaves is
// destroyed by makeWay, when all is known that the vnode is to be.
func (h *Host) evict(ctx context.Context, r Record) (Record, error) {
	s, err := h.statusNow(ctx, r.VNode)
	if err != nil || !r.passedTo(s) {
		return r, ErrUp
	}
	h.logPassing(r, s)
	r.Desired = Halted
	if err := h.end(ctx, &r, "passed to another experiment"); err != nil && !r.downUnwritten(err) {
		return r, err
	}
	return r, nil
}

// statusNow asks for the vnode's status, and waits as long as for a report.
func (h *Host) statusNow(ctx context.Context, vnode string) (protocol.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, shutdownReport)
	defer cancel()
	return h.Tmcd.status(ctx, vnode)
}

// Answered tells whether tmcd says what the vnode is; that it is free is an answer,
// too. A tmcd that is away for seconds is waited for, as at a boot.
func (h *Host) Answered(ctx context.Context, vnode string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := h.Tmcd.insist(ctx, vnode, func() error {
		_, err := h.Tmcd.status(ctx, vnode)
		return err
	})
	if errors.Is(err, ErrFree) {
		return nil
	}
	return err
}

func (h *Host) logPassing(r Record, s protocol.Status) {
	h.Log.Warn("vnode has passed to another experiment: what the first left here is destroyed",
		"vnode", r.VNode, "was", r.Project+"/"+r.Experiment, "is", s.PID+"/"+s.EID)
}
