package hub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/peer"
)

// errUnread is what a jail does that doesn't read its events.
var errUnread = errors.New("events are not read")

// Bounds of what one jail may do.
const (
	maxConnections = 4   // at once
	burst          = 200 // events that may come together
	perSecond      = 100 // and then
	writeTimeout   = 5 * time.Second
)

// Door is one jail's way to the hub.
type Door struct {
	VNode      string
	Experiment string
	Key        string // the experiment's; empty: the one that is known
	Root       uint32 // the host's id of the jail's root: nobody else may speak
}

// door is an open one.
type door struct {
	hub        *Hub
	vnode      string
	experiment string
	root       uint32
	listener   *net.UnixListener
	log        *slog.Logger

	open   context.Context // until the door is closed
	finish context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]bool
	guard event.Guard // what this jail has said
	rate  bucket
	logs  complaints
}

// Open serves a jail on l, which it takes over, until [Hub.Close].
func (h *Hub) Open(d Door, l *net.UnixListener) error {
	if err := CheckExperiment(d.Experiment); err != nil {
		return errors.Join(err, l.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errors.Join(errors.New("the hub has ended"), l.Close())
	}
	if h.doors[d.VNode] != nil {
		return errors.Join(fmt.Errorf("%s has its events already", d.VNode), l.Close())
	}
	x := h.take(d.Experiment)
	if d.Key != "" && d.Key != x.Key {
		x.Key = d.Key
		if err := h.save(x); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	ctx, finish := context.WithCancel(context.Background())
	open := &door{
		open: ctx, finish: finish,
		hub: h, vnode: d.VNode, experiment: d.Experiment, root: d.Root, listener: l,
		log: h.log.With("vnode", d.VNode), conns: map[net.Conn]bool{},
		guard: event.Guard{Experiment: d.Experiment}, rate: bucket{left: burst},
	}
	h.doors[d.VNode] = open
	h.work.Go(func() { open.accept(x) })
	return nil
}

// Close ends what a jail has with the hub. It bears a vnode that has nothing.
func (h *Hub) Close(vnode string) error {
	h.mu.Lock()
	d := h.doors[vnode]
	delete(h.doors, vnode)
	h.mu.Unlock()
	if d == nil {
		return nil
	}
	err := d.close()
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.experiments[d.experiment]
	if x == nil || h.inhabited(d.experiment) || len(x.Schedule)+len(x.Groups) > 0 {
		return err
	}
	if !x.watched() {
		delete(h.experiments, d.experiment)
	}
	return errors.Join(err, h.remove(d.experiment))
}

func (d *door) close() error {
	err := d.listener.Close()
	d.finish()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
	}
	return err
}

// accept takes in connections of the jail's root.
func (d *door) accept(x *experiment) {
	complain := func(err error) { d.log.Warn("events: not accepted", "error", err) }
	peer.Serve(d.open, d.listener, complain, func(c peer.Conn) {
		if c.UID != d.root || !d.enter(c) {
			c.Close()
			return
		}
		s := newSubscriber(d.vnode, c)
		s.tooSlow = func() { d.complain("events: connection cut off", errUnread) }
		d.hub.mu.Lock()
		x.subscribers[s] = true
		d.hub.mu.Unlock()
		d.hub.work.Go(func() { s.write() })
		d.hub.work.Go(func() {
			d.read(x, s)
			d.hub.leave(x, s)
			d.exit(c)
		})
	})
}

// pause waits, but not beyond the door's closing.
func (d *door) pause(wait time.Duration) {
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-d.open.Done():
	}
}

// enter counts a connection in, if there is room.
func (d *door) enter(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open.Err() != nil || len(d.conns) == maxConnections {
		return false
	}
	d.conns[c] = true
	return true
}

func (d *door) exit(c net.Conn) {
	c.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
}

// write sends what is queued until the connection closes.
func (s *subscriber) write() {
	for {
		select {
		case <-s.gone:
			return
		case line := <-s.queue:
			s.took(line)
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := s.conn.Write(line); err != nil {
				s.conn.Close() // the reader sees it
				return
			}
		}
	}
}

// read takes a jail's lines until it goes, or says something too long.
func (d *door) read(x *experiment, s *subscriber) {
	defer s.end()
	lines := bufio.NewReaderSize(s.conn, event.MaxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			d.complain("events: line too long: cut off", fmt.Errorf("more than %d bytes", event.MaxLine))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				d.log.Debug("events: " + err.Error())
			}
			return
		}
		d.pause(d.wait()) // its own lines wait, in its own socket
		if err := d.said(x, s, line); err != nil {
			d.complain("event of a jail refused", err)
		}
	}
}

// end stops the writer.
func (s *subscriber) end() { s.once.Do(func() { close(s.gone) }) }

// subscribe is the action by which an agent tells its objects.
const subscribe = "SUBSCRIBE"

// said acts on one line of a jail.
func (d *door) said(x *experiment, s *subscriber, line []byte) error {
	e, err := event.Parse(line)
	if err != nil {
		return err
	}
	if e.Type == event.Node && e.Action == subscribe {
		return d.subscribe(s, e.Args)
	}
	if err := checkWords(e.Object, e.Action, e.Args); err != nil {
		return err
	}
	if e.Type == event.Time || e.Type == event.Node {
		return fmt.Errorf("type %s is the operator's", e.Type)
	}
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	d.guard.Key = []byte(x.Key)
	if err := d.guard.Check(e, time.Now()); err != nil {
		return err
	}
	e.From = d.vnode // whatever it says
	_, err = d.hub.publish(x, e, s)
	return err
}

// subscribe replaces what the agent wants to hear of.
func (d *door) subscribe(s *subscriber, names string) error {
	objects := map[string]string{}
	for word := range strings.FieldsSeq(names) {
		name, kind, _ := strings.Cut(word, "=")
		if !objectName.MatchString(name) || len(objects) == maxObjects {
			return fmt.Errorf("subscribe: bad name, or more than %d", maxObjects)
		}
		objects[name] = kind
	}
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	s.objects = objects
	return nil
}

// bucket holds how many events may come now.
type bucket struct {
	left float64
	at   time.Time
}

// wait is how long the next line of this jail has to wait.
func (d *door) wait() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rate.take(time.Now())
}

// take takes one event out and returns how long it has to wait.
func (b *bucket) take(now time.Time) time.Duration {
	if !b.at.IsZero() {
		b.left = min(burst, b.left+perSecond*now.Sub(b.at).Seconds())
	}
	b.at = now
	b.left--
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left / perSecond * float64(time.Second))
}
