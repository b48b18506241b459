package hub

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"emujail/jailsetup/event"
)

// Bounds of what waits for one subscriber.
const (
	maxQueued      = 256
	maxQueuedBytes = 1 << 20
	maxObjects     = 4096
)

// subscriber is an agents process, or an operator who watches.
type subscriber struct {
	vnode string
	conn  net.Conn // nil: a watcher
	all   bool     // every event, not only those of objects
	queue chan []byte
	gone  chan struct{} // closed when it was too slow, or has left

	tooSlow func() // says that it was given up
	once    sync.Once
	objects map[string]string // to their type, empty if it wasn't told; guarded by the hub's lock
	mu      sync.Mutex
	bytes   int
}

func newSubscriber(vnode string, conn net.Conn) *subscriber {
	return &subscriber{vnode: vnode, conn: conn, tooSlow: func() {}, queue: make(chan []byte, maxQueued), gone: make(chan struct{}),
		objects: map[string]string{}}
}

// push queues a line, or gives the subscriber up, which it says once: nobody
// waits for it. Of one that is gone already nothing is said.
func (s *subscriber) push(line []byte) bool {
	select {
	case <-s.gone:
		return false
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+len(line) <= maxQueuedBytes {
		select {
		case s.queue <- line:
			s.bytes += len(line)
			return true
		default:
		}
	}
	s.once.Do(func() {
		close(s.gone)
		if s.conn != nil {
			s.conn.Close()
		}
		s.tooSlow()
	})
	return false
}

// took notes that a line has left the queue.
func (s *subscriber) took(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= len(line)
}

func (h *Hub) leave(x *experiment, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(x.subscribers, s)
	now := h.experiments[x.Experiment] // another one, if x was forgotten meanwhile
	if now != nil && len(now.subscribers)+len(now.Schedule)+len(now.Groups) == 0 && !h.inhabited(x.Experiment) {
		delete(h.experiments, x.Experiment) // it was there for its watchers
	}
}

// publish signs an event for each object that it names and queues it for those
// who have the object; TIME goes to all. It returns their vnodes. The lock is
// held, so that all see the same order.
func (h *Hub) publish(x *experiment, e event.Event, not *subscriber) ([]string, error) {
	handed := map[string]bool{}
	for _, object := range x.expand(e.Object) {
		h.seq++
		e.Object, e.Experiment, e.Time, e.Sender, e.Seq = object, x.Experiment, time.Now(), h.sender, h.seq
		line := e.Sign([]byte(x.Key)).Append(nil)
		if len(line) > event.MaxLine {
			return nil, fmt.Errorf("event of %d bytes: at most %d", len(line), event.MaxLine)
		}
		for s := range x.subscribers {
			switch {
			case s == not, !s.all && e.Type != event.Time && !s.has(object):
			case s.push(line) && s.vnode != "":
				handed[s.vnode] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(handed)), nil
}

func (s *subscriber) has(object string) bool {
	_, ok := s.objects[object]
	return ok
}

// checkEvent says if an event's words mean nothing to whoever has its objects. A
// jail may say what it likes of an object, so it is enough that one understands.
// The lock is held.
func (x *experiment) checkEvent(e event.Event) error {
	for _, object := range x.expand(e.Object) {
		var refused error
		for s := range x.subscribers {
			kind, ok := s.objects[object]
			if !ok {
				continue
			}
			if refused = event.CheckWords(kind, e.Action, e.Args); refused == nil {
				break
			}
		}
		if refused != nil {
			return fmt.Errorf("%s: %w", object, refused)
		}
	}
	return nil
}

// expand makes a group's name its members; any other name is an object's.
func (x *experiment) expand(name string) []string {
	if members, ok := x.Groups[name]; ok {
		return members
	}
	return []string{name}
}

// objects names what can be told something, for people.
func (x *experiment) objects() string {
	names := map[string]bool{}
	for s := range x.subscribers {
		for object := range s.objects {
			names[object] = true
		}
	}
	for g := range x.Groups {
		names[g] = true
	}
	const most = 20
	list := slices.Sorted(maps.Keys(names))
	switch {
	case len(list) == 0:
		return "none"
	case len(list) > most:
		return strings.Join(list[:most], ", ") + " and more"
	}
	return strings.Join(list, ", ")
}
