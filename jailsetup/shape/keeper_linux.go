package shape

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/network"
	"emujail/jailsetup/shape/delay"
)

// Times of starting the node again: at once, then ever more slowly if it keeps
// ending.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
	healthyAfter = 10 * time.Second
	nodeWait     = 10 * time.Second // for a change that needs the node
)

// Keeper knows all links of the host and keeps the delay node alive as long as
// a link needs it. One a host.
type Keeper struct {
	runDir  string
	program string // delaynode
	log     *slog.Logger
	netem   bool
	guard   func(Link) error
	kick    chan struct{} // a link needs the node

	mu    sync.Mutex // one change at a time; held while the kernel or the node is told
	links map[string]Link
	node  *node         // nil: none at the moment
	up    chan struct{} // closed while there is one
}

// NewKeeper reads the records of an earlier supervisor and finds out what the
// kernel can do. [Keeper.Run] sets the links up again. Before a link of a jail
// that runs is spliced, guard makes its inner end keep what filters at the host
// end did; it bears to have done so already.
func NewKeeper(runDir, program string, guard func(Link) error, log *slog.Logger) (*Keeper, error) {
	links, err := Records(runDir)
	if err != nil {
		return nil, err
	}
	netem, err := probeNetem()
	if err != nil {
		return nil, err
	}
	return &Keeper{
		runDir: runDir, program: program, guard: guard, log: log, netem: netem,
		kick: make(chan struct{}, 1), links: links, up: make(chan struct{}),
	}, nil
}

// byNode tells whether the link needs the delay node.
func (k *Keeper) byNode(b Both) bool {
	for _, s := range [...]Shape{b.Out, b.In} {
		late := s.Delay > 0 || s.Jitter > 0 || s.Loss > 0
		if s.Queue.RED != nil || late && !k.netem {
			return true
		}
	}
	return false
}

// Shape makes the link as it says, for the first time or anew. Its record is
// on disk before anything is done.
func (k *Keeper) Shape(ctx context.Context, l Link) error {
	_, err := k.shape(ctx, l, nil)
	return err
}

// shape does it, and returns how the link stands then. With again the link must be
// there, for its jail may have gone meanwhile, and again makes its new shape of
// the one that it has: another change may have come, too.
func (k *Keeper) shape(ctx context.Context, l Link, again func(Both) (Both, error)) (Link, error) {
	id, err := l.ID()
	if err != nil {
		return l, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old, known := k.links[id]
	if again != nil {
		if !known {
			return l, fmt.Errorf("shape %s: %w", l, ErrNoLink)
		}
		if l.Shape, err = again(old.Shape); err != nil {
			return l, fmt.Errorf("shape %s: %w", l, err)
		}
	}
	if err := l.Shape.Check(); err != nil {
		return l, fmt.Errorf("shape %s: %w", l, err)
	}
	l.Spliced = known && old.Spliced || !l.Shape.Plain()
	if err := l.save(k.runDir); err != nil {
		return l, err
	}
	k.links[id] = l
	if !l.Spliced {
		return l, nil
	}
	if again != nil { // else the jail isn't running yet, and its own plan sees to it
		if err := k.guard(l); err != nil {
			return l, fmt.Errorf("guard %s: %w", l, err)
		}
	}
	if err := l.Splice.Do(ctx, nil); err != nil {
		return l, fmt.Errorf("splice %s: %w", l, err)
	}
	if err := k.setUp(ctx, id, l); err != nil {
		return l, fmt.Errorf("shape %s: %w", l, err)
	}
	return l, nil
}

// setUp tells the kernel and the node. The caller has the lock, and loses it
// while the node is being started.
func (k *Keeper) setUp(ctx context.Context, id string, l Link) error {
	if !k.byNode(l.Shape) {
		if err := k.release(id); err != nil {
			return err
		}
		return k.setKernel(l)
	}
	if err := k.setKernel(l); err != nil {
		return err
	}
	for {
		err := k.awaitNode(ctx)
		l, known := k.links[id] // another change may have come meanwhile
		switch {
		case !known:
			return ErrNoLink
		case !k.byNode(l.Shape):
			return nil // it has seen to all
		case err != nil:
			return err
		}
		err = k.tell(id, l)
		if err == nil || k.node.alive() {
			return err
		}
		// It died just now; the next one is told by this link's record, too.
	}
}

// setKernel sets the kernel's part of a spliced link.
func (k *Keeper) setKernel(l Link) error {
	e, err := l.Splice.Ends()
	if err != nil {
		return err
	}
	byNode := k.byNode(l.Shape)
	return withRoutes(l.Splice, func(h *netlink.Handle) error {
		if byNode {
			if err := uncarry(h, e); err != nil {
				return err
			}
		}
		if err := setKernel(h, e, l.Shape, byNode); err != nil {
			return err
		}
		if byNode {
			return nil
		}
		return carryByKernel(h, e)
	})
}

// tell gives the node the link, or what has changed of it.
func (k *Keeper) tell(id string, l Link) error {
	if k.node.has[id] {
		_, err := k.node.ask(delay.Message{Op: delay.OpChange, Link: nodeLink(id, l.Shape)})
		return err
	}
	e, err := l.Splice.Ends()
	if err != nil {
		return err
	}
	jail, lan, err := openSockets(l.Splice, e)
	if err != nil {
		return err
	}
	defer closeAll(jail, lan)
	if _, err := k.node.ask(delay.Message{Op: delay.OpAdd, Link: nodeLink(id, l.Shape)}, jail, lan); err != nil {
		return err
	}
	k.node.has[id] = true
	return nil
}

// release takes the link from the node, and ends a node that has none left.
// One that isn't there has none.
func (k *Keeper) release(id string) error {
	if k.node == nil || !k.node.has[id] {
		return nil
	}
	_, err := k.node.ask(delay.Message{Op: delay.OpRemove, Link: &delay.Link{ID: id}})
	if err == nil {
		delete(k.node.has, id)
	}
	if err == nil && len(k.node.has) == 0 {
		err = k.endNode()
	}
	if err != nil && (k.node == nil || !k.node.alive()) {
		return nil // it ended, and its sockets with it
	}
	return err
}

// forgetNode is what a node's end leaves. The caller has the lock.
func (k *Keeper) forgetNode() {
	k.node = nil
	select {
	case <-k.up:
		k.up = make(chan struct{})
	default: // nobody has been told that it was up
	}
}

// endNode ends a node that nobody needs. The caller has the lock.
func (k *Keeper) endNode() error {
	_, err := k.node.ask(delay.Message{Op: delay.OpExit})
	if err == nil {
		err = os.Remove(socketPath(k.runDir))
	}
	k.forgetNode()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// awaitNode waits for the node, which starts now if need be.
func (k *Keeper) awaitNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeWait)
	defer cancel()
	for k.node == nil || !k.node.alive() {
		select {
		case k.kick <- struct{}{}:
		default:
		}
		if k.node != nil { // dead, and not noticed yet by Run
			k.forgetNode()
		}
		up := k.up
		k.mu.Unlock()
		select {
		case <-up:
		case <-ctx.Done():
		}
		k.mu.Lock()
		if ctx.Err() != nil {
			return errors.New("the delay node doesn't start (see the supervisor's log)")
		}
	}
	return nil
}

// Unshape takes the link away with all that shapes it, and its record last.
// A link that isn't known is success.
func (k *Keeper) Unshape(ctx context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, known := k.links[id]
	if !known {
		return forget(k.runDir, id)
	}
	if err := k.release(id); err != nil {
		return fmt.Errorf("release %s: %w", l, err)
	}
	if l.Spliced {
		undos, err := l.Splice.Undo()
		if err != nil {
			return err
		}
		for _, u := range undos {
			if err := network.Undo(ctx, u); err != nil {
				return fmt.Errorf("take splice of %s away: %w", l, err)
			}
		}
	}
	delete(k.links, id)
	return forget(k.runDir, id)
}

// Run keeps the node alive until ctx ends: it takes back the one that an
// earlier supervisor has left, sets links up again, and starts another one when
// it ends. The node itself goes on when ctx ends, if it has links.
func (k *Keeper) Run(ctx context.Context) {
	k.restore(ctx)
	pause := firstPause
	for ctx.Err() == nil {
		n, wait, err := k.find(ctx)
		if n == nil && err == nil { // nobody needs one
			select {
			case <-ctx.Done():
			case <-k.kick:
			}
			continue
		}
		began := time.Now()
		if err == nil {
			err = k.serve(ctx, n, wait)
		}
		if ctx.Err() != nil || err == nil {
			continue
		}
		if time.Since(began) > healthyAfter {
			pause = firstPause
		}
		k.log.Warn("delay node ended, starting it again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// restore sets the kernel's part of all links up again: an earlier supervisor
// may have been killed between a record and its deed.
func (k *Keeper) restore(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, l := range k.links {
		if !l.Spliced {
			continue
		}
		err := k.guard(l)
		if err == nil {
			err = l.Splice.Do(ctx, nil)
		}
		if err == nil {
			err = k.setKernel(l)
		}
		if err != nil {
			k.log.Error("link is not shaped as it should be", "vnode", l.Splice.VNode, "link", id, "error", err)
		}
	}
}

// find gets a node: an earlier supervisor's, or a new one if a link needs it.
func (k *Keeper) find(ctx context.Context) (*node, func() error, error) {
	n, m, err := attach(ctx, k.runDir)
	if err == nil {
		k.log.Info("delay node taken over", "pid", m.PID)
		return n, func() error { return nil }, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if !k.needed() {
		return nil, nil, nil
	}
	n, m, wait, err := spawn(k.program, k.runDir)
	if err != nil {
		return nil, nil, err
	}
	if m.Note != "" {
		k.log.Warn("delay node: "+m.Note, "pid", m.PID)
	}
	k.log.Info("delay node started", "pid", m.PID)
	return n, wait, nil
}

func (k *Keeper) needed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.links {
		if l.Spliced && k.byNode(l.Shape) {
			return true
		}
	}
	return false
}

// serve gives the node its links and waits for its end, or for ctx's. nil says
// that it ended because it was told to.
func (k *Keeper) serve(ctx context.Context, n *node, wait func() error) error {
	err := k.adopt(n)
	if err == nil {
		select {
		case <-n.gone:
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	told := k.node != n // already forgotten: it was told to end
	if !told {
		k.forgetNode()
	}
	k.mu.Unlock()
	n.conn.Close()
	<-n.gone
	if err == nil && ctx.Err() != nil {
		return nil // it goes on without us, and is nobody's to wait for
	}
	exit := wait()
	if err == nil && told {
		return nil
	}
	return errors.Join(err, exit, errNodeGone)
}

// adopt makes the node's links those of the records.
func (k *Keeper) adopt(n *node) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	has, err := n.links()
	if err != nil {
		return err
	}
	for id := range has {
		if l, ok := k.links[id]; ok && l.Spliced && k.byNode(l.Shape) {
			n.has[id] = true
		} else if _, err := n.ask(delay.Message{Op: delay.OpRemove, Link: &delay.Link{ID: id}}); err != nil {
			return err
		}
	}
	k.node = n
	wanted := 0
	for id, l := range k.links {
		if !l.Spliced || !k.byNode(l.Shape) {
			continue
		}
		wanted++
		if err := k.tell(id, l); err != nil && !n.alive() {
			return err
		} else if err != nil {
			k.log.Error("link is not carried", "vnode", l.Splice.VNode, "link", id, "error", err)
		}
	}
	if wanted == 0 {
		return k.endNode()
	}
	close(k.up)
	return nil
}
