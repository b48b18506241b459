package delay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Turns are bounded, so that every socket and the control gets its own.
const (
	maxEvents    = 128
	burstPerTurn = 4 // batches that a queue sends before the next one's turn
	// packetsPerTurn is how many packets, cut from large frames, a socket may give
	// in its turn; that many take some 200 µs.
	packetsPerTurn = 256
)

// side is one end of a link: frames that come here go into the queue.
type side struct {
	fd   int
	link *link
	into *queue // of the direction that begins here
	most int    // frames in the next turn
}

// link is a link as the loop has it.
type link struct {
	id       string
	jail     *side
	lan      *side
	out, in  *queue
	outTo    int // socket that out's frames leave by
	inTo     int
	attached bool
}

// node is the loop and all that it has. Everything runs on the thread that
// calls [node.run].
type node struct {
	start    time.Time
	epoll    int
	sides    map[int32]*side
	links    []*link // by id
	store    store
	receiver *receiver
	sender   *batch
	pending  [batchSize]packet
	vigil    *vigil
	control  *control
	ended    bool
}

// newNode makes a node that is told what to do over the control socket, a
// SOCK_SEQPACKET unix socket that it takes over.
func newNode(controlFD int, v *vigil, note string) (*node, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll set: %w", err)
	}
	n := &node{start: time.Now(), epoll: epoll, sides: map[int32]*side{}, sender: newBatch(), store: store{grow: grow}, vigil: v}
	if n.receiver, err = newReceiver(); err != nil {
		return nil, err
	}
	n.control = &control{node: n, conn: -1, listener: -1, note: note}
	return n, n.control.take(controlFD)
}

// now is the loop's clock, in ns.
func (n *node) now() int64 { return int64(time.Since(n.start)) }

func (n *node) watch(fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(n.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// run carries frames until it is told to end, or until nobody can tell it any
// more and it has no link.
func (n *node) run() error {
	var events [maxEvents]unix.EpollEvent
	for !n.ended {
		count, err := n.wait(events[:])
		if err != nil {
			return fmt.Errorf("wait for frames: %w", err)
		}
		for _, e := range events[:count] {
			if s, ok := n.sides[e.Fd]; ok {
				n.take(s, e.Events)
			} else if err := n.control.event(int(e.Fd)); err != nil {
				return err
			}
		}
		n.release()
	}
	return nil
}

// wait waits for events until the next frame is due.
func (n *node) wait(events []unix.EpollEvent) (int, error) {
	now := n.now()
	next, some := n.nextDue()
	if end, kept := n.vigil.keep(some, now); kept && !some {
		next, some = end, true
	}
	var timeout *unix.Timespec
	if some {
		t := unix.NsecToTimespec(max(next-now, 0))
		timeout = &t
	}
	count, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(n.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return 0, errno
	}
	if errno != 0 {
		return 0, nil
	}
	return int(count), nil
}

func (n *node) nextDue() (int64, bool) {
	var first int64
	found := false
	for _, l := range n.links {
		for _, q := range [...]*queue{l.out, l.in} {
			if due, ok := q.next(); ok && (!found || due < first) {
				first, found = due, true
			}
		}
	}
	return first, found
}

// take takes one batch of a side's frames.
func (n *node) take(s *side, events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		// Reading the error takes it away: a device that went down, or is gone.
		_, _ = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	}
	count, err := n.receiver.receive(s.fd, s.most)
	if err != nil {
		if !nothingThere(err) {
			s.into.count.Bad++ // a frame that the kernel can't describe (EINVAL), or no device
		}
		return
	}
	now, clock, before := n.now(), time.Now().UnixNano(), s.into.offered
	for i := range count {
		if frame, ok := n.receiver.frame(i); ok {
			// When it came, not when we came to it.
			s.into.arrive(now-n.receiver.age(i, clock), frame)
		} else {
			s.into.count.Bad++
		}
	}
	perFrame := max(1, int(s.into.offered-before)/max(count, 1))
	s.most = min(max(packetsPerTurn/perFrame, 1), batchSize)
}

// release sends what is due.
func (n *node) release() {
	for _, l := range n.links {
		n.flush(l.out, l.outTo)
		n.flush(l.in, l.inTo)
	}
}

func (n *node) flush(q *queue, fd int) {
	if len(q.waiting) == 0 {
		return
	}
	now := n.now()
	for range burstPerTurn {
		count := 0
		for count < batchSize {
			p, ok := q.due(now)
			if !ok {
				break
			}
			n.pending[count] = p
			n.sender.set(count, p.data)
			count++
		}
		if count == 0 {
			return
		}
		n.send(q, fd, count)
	}
}

// send sends the pending frames. One that is refused is dropped: the device's
// queue is full (ENOBUFS, EAGAIN), or the frame or device is not fit.
func (n *node) send(q *queue, fd, count int) {
	for first := 0; first < count; {
		sent, err := n.sender.send(fd, first, count-first)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		for range sent {
			q.sent(n.pending[first])
			first++
		}
		if err != nil {
			q.dropped(n.pending[first])
			first++
		}
	}
}

func (n *node) find(id string) (int, bool) {
	return slices.BinarySearchFunc(n.links, id, func(l *link, id string) int { return strings.Compare(l.id, id) })
}

// add takes over two sockets, the jail's side and the LAN's. A link of the same
// name gets its sockets replaced and keeps its counters and frames.
func (n *node) add(l Link, jailFD, lanFD int) error {
	if err := errors.Join(l.Out.check(), l.In.check()); err != nil {
		unix.Close(jailFD)
		unix.Close(lanFD)
		return err
	}
	at, found := n.find(l.ID)
	if !found {
		n.links = slices.Insert(n.links, at, &link{id: l.ID, out: newQueue(l.Out, &n.store), in: newQueue(l.In, &n.store)})
	}
	k := n.links[at]
	if found {
		n.detach(k)
		k.out.set(l.Out, n.now())
		k.in.set(l.In, n.now())
	}
	k.jail = &side{fd: jailFD, link: k, into: k.out, most: batchSize}
	k.lan = &side{fd: lanFD, link: k, into: k.in, most: batchSize}
	k.outTo, k.inTo = lanFD, jailFD
	k.attached = true
	for _, s := range [...]*side{k.jail, k.lan} {
		n.sides[int32(s.fd)] = s
		if err := n.watch(s.fd, unix.EPOLLIN); err != nil {
			n.remove(l.ID)
			return err
		}
	}
	return nil
}

// detach closes a link's sockets.
func (n *node) detach(k *link) {
	if !k.attached {
		return
	}
	k.countMissed()
	for _, s := range [...]*side{k.jail, k.lan} {
		delete(n.sides, int32(s.fd))
		unix.Close(s.fd) // also takes it out of the epoll set: nobody has a copy
	}
	k.attached = false
}

func (n *node) change(l Link) error {
	if err := errors.Join(l.Out.check(), l.In.check()); err != nil {
		return err
	}
	at, found := n.find(l.ID)
	if !found {
		return fmt.Errorf("no link %q here", l.ID)
	}
	n.links[at].out.set(l.Out, n.now())
	n.links[at].in.set(l.In, n.now())
	return nil
}

func (n *node) remove(id string) {
	at, found := n.find(id)
	if !found {
		return
	}
	k := n.links[at]
	n.detach(k)
	k.out.clear()
	k.in.clear()
	n.links = slices.Delete(n.links, at, at+1)
}

// listed is a part of the links, with their counters.
func (n *node) listed(after string, most int) (list []Link, more bool) {
	at, found := n.find(after)
	if found {
		at++
	}
	for _, k := range n.links[at:] {
		if len(list) == most {
			return list, true
		}
		k.countMissed()
		list = append(list, Link{ID: k.id, Out: k.out.pipe, In: k.in.pipe, To: k.out.counters(), Fro: k.in.counters()})
	}
	return list, false
}

// countMissed adds what the kernel dropped because we were slow. Asking sets the
// kernel's count to zero.
func (k *link) countMissed() {
	if !k.attached {
		return
	}
	for _, s := range [...]*side{k.jail, k.lan} {
		if st, err := unix.GetsockoptTpacketStats(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			s.into.count.Missed += uint64(st.Drops)
		}
	}
}
