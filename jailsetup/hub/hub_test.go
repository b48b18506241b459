package hub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/jailsetup/event"
)

const (
	demo  = "jails/demo"
	other = "jails/other"
	key   = "9e107d9d372bb6826bd81d3542a419d6"
)

// host is a hub with its files in a directory of the test's.
type host struct {
	*Hub
	tb  testing.TB
	dir string
	log *buffer
}

type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newHost(tb testing.TB, dir string) *host {
	tb.Helper()
	h := &host{tb: tb, dir: dir, log: &buffer{}}
	var err error
	if h.Hub, err = New(filepath.Join(dir, "events"), slog.New(slog.NewTextHandler(h.log, nil))); err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		h.Run(ctx)
		close(done)
	}()
	tb.Cleanup(func() {
		stop()
		<-done
		if err := h.Shutdown(); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Log(h.log)
		}
	})
	return h
}

func (h *host) socket(vnode string) string { return filepath.Join(h.dir, vnode) }

func (h *host) open(vnode, experiment, key string) {
	h.tb.Helper()
	_ = os.Remove(h.socket(vnode))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket(vnode), Net: "unix"})
	if err != nil {
		h.tb.Fatal(err)
	}
	if err := h.Open(Door{VNode: vnode, Experiment: experiment, Key: key, Root: uint32(os.Getuid())}, l); err != nil {
		h.tb.Fatal(err)
	}
}

// agent is an agents process in a jail.
type agent struct {
	net.Conn
	tb    testing.TB
	lines *bufio.Reader
	seq   uint64
	guard event.Guard
}

// join connects to a vnode's socket and says which objects it has.
func (h *host) join(vnode, experiment string, objects ...string) *agent {
	h.tb.Helper()
	c, err := net.Dial("unix", h.socket(vnode))
	if err != nil {
		h.tb.Fatal(err)
	}
	h.tb.Cleanup(func() { c.Close() })
	a := &agent{Conn: c, tb: h.tb, lines: bufio.NewReader(c), guard: event.Guard{Experiment: experiment, Key: []byte(key)}}
	if len(objects) == 0 {
		return a
	}
	a.say(event.Event{Object: "*", Type: event.Node, Action: subscribe, Args: strings.Join(objects, " ")})
	first, _, _ := strings.Cut(objects[0], "=")
	h.await("the subscription", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for s := range h.experiments[experiment].subscribers {
			if s.vnode == vnode && s.has(first) {
				return true
			}
		}
		return false
	})
	return a
}

func (a *agent) say(e event.Event) {
	a.tb.Helper()
	if e.Experiment == "" {
		e.Experiment = a.guard.Experiment
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Seq == 0 {
		a.seq++
		e.Seq = a.seq
	}
	e.Sender = 42
	if _, err := a.Write(e.Sign([]byte(key)).Append(nil)); err != nil {
		a.tb.Fatal(err)
	}
}

// hears reads one event and holds it against the key, as the agents do.
func (a *agent) hears() event.Event {
	a.tb.Helper()
	if err := a.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		a.tb.Fatal(err)
	}
	line, err := a.lines.ReadBytes('\n')
	if err != nil {
		a.tb.Fatal(err)
	}
	e, err := event.Parse(line)
	if err == nil {
		err = a.guard.Check(e, time.Now())
	}
	if err != nil {
		a.tb.Fatalf("%s: %v", line, err)
	}
	return e
}

func (h *host) await(what string, ok func() bool) {
	h.tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// vacant tells whether a vnode has no connection.
func (h *host) vacant(vnode string) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		d := h.doors[vnode]
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.conns) == 0
	}
}

func (h *host) refused(n int) {
	h.tb.Helper()
	h.await(fmt.Sprintf("%d refusals", n), func() bool { return strings.Count(h.log.String(), "event of a jail refused") == n })
}

// The operator tells an object; only who has it hears it.
func TestSend(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	h.open("v2", demo, key)
	h.open("v3", other, key)
	v1, v2 := h.join("v1", demo, "cbr0=TRAFGEN", "prog0=PROGRAM"), h.join("v2", demo, "null0")
	h.join("v3", other, "cbr0")
	to, err := h.Send(demo, "cbr0", "START", "RATE=1000")
	if err != nil || !slices.Equal(to, []string{"v1"}) {
		t.Fatalf("%v %v", to, err)
	}
	if e := v1.hears(); e.Object != "cbr0" || e.Action != "START" || e.Args != "RATE=1000" || e.From != "" {
		t.Errorf("%+v", e)
	}
	for _, program := range []string{"START COMMAND='sleep 5; x'", "KILL SIGNAL=TERM"} {
		action, args, _ := strings.Cut(program, " ")
		if _, err := h.Send(demo, "prog0", action, args); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Send(demo, "null0", "BEGIN", "ANY=1"); err != nil { // what null0 is wasn't told
		t.Fatal(err)
	}
	if e := v2.hears(); e.Object != "null0" {
		t.Errorf("%+v", e)
	}
	if _, err := h.Send(demo, "null0", "RESET", ""); err != nil {
		t.Fatal(err)
	}
	if e := v2.hears(); e.Object != "null0" { // cbr0's START, had it come, would be before
		t.Errorf("%+v", e)
	}
	for _, tt := range []struct {
		name, experiment, object, action, args string
		want                                   error
	}{
		{"no such experiment", "jails/none", "cbr0", "START", "", ErrExperiment},
		{"no such object", demo, "cbr9", "START", "", ErrObject},
		{"an object of another experiment", other, "prog0", "START", "", ErrObject},
		{"no experiment's name", "demo", "cbr0", "START", "", nil},
		{"an action that a traffic generator doesn't know", demo, "cbr0", "BEGIN", "", nil},
		{"a key that it doesn't know", demo, "cbr0", "START", "RAET=1", nil},
		{"a word without a key", demo, "cbr0", "START", "1000", nil},
		{"a key that a program doesn't know", demo, "prog0", "START", "RATE=1", nil},
		{"no object's name", demo, "c br", "START", "", nil},
		{"no action", demo, "cbr0", "start now", "", nil},
		{"a newline", demo, "cbr0", "START", "A=\n", nil},
		{"too long", demo, "cbr0", "START", strings.Repeat("x", maxArgs+1), nil},
	} {
		_, err := h.Send(tt.experiment, tt.object, tt.action, tt.args)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// T46: what a jail may say, and as whom.
func TestJailSends(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	h.open("v2", demo, key)
	h.open("v3", other, key)
	v1, v2, v3 := h.join("v1", demo, "prog0"), h.join("v2", demo, "cbr0"), h.join("v3", other, "cbr0")
	v1.say(event.Event{Object: "cbr0", Action: "START", From: "operator"})
	if e := v2.hears(); e.From != "v1" || e.Action != "START" {
		t.Errorf("the sender isn't the socket's: %+v", e)
	}
	refused := 0
	for _, tt := range []struct {
		name string
		e    event.Event
	}{
		{"in another experiment's name", event.Event{Experiment: other, Object: "cbr0", Action: "STOP"}},
		{"the start of time", event.Event{Object: "*", Type: event.Time, Action: "START"}},
		{"to a node", event.Event{Object: "cbr0", Type: event.Node, Action: "RELOAD"}},
		{"seen before", event.Event{Object: "cbr0", Action: "STOP", Seq: 1}},
		{"old", event.Event{Object: "cbr0", Action: "STOP", Time: time.Now().Add(-time.Hour)}},
		{"from the future", event.Event{Object: "cbr0", Action: "STOP", Time: time.Now().Add(time.Hour)}},
		{"a name with a space", event.Event{Object: "cbr0 x", Action: "STOP"}},
		{"a control character", event.Event{Object: "cbr0", Action: "STOP", Args: "A=\x1b[2J"}},
		{"too many names", event.Event{Object: "*", Type: event.Node, Action: subscribe, Args: strings.Repeat("a/b ", 3)}},
	} {
		t.Log(tt.name)
		v1.say(tt.e)
		refused++
		h.refused(refused)
	}
	// Without the key, or not an event at all.
	for _, line := range [][]byte{[]byte("garbage\n"), event.Event{Experiment: demo, Object: "cbr0", Action: "STOP", Time: time.Now(), Seq: 99}.Sign([]byte("guess")).Append(nil)} {
		if _, err := v1.Write(line); err != nil {
			t.Fatal(err)
		}
		refused++
		h.refused(refused)
	}
	// A captured line, said again by another connection of the jail.
	e := event.Event{Experiment: demo, Object: "cbr0", Action: "MODIFY", Time: time.Now(), Seq: 100, Sender: 42}.Sign([]byte(key))
	for range 2 {
		again := h.join("v1", demo)
		if _, err := again.Write(e.Append(nil)); err != nil {
			t.Fatal(err)
		}
		again.Close()
	}
	refused++
	h.refused(refused)
	if e := v2.hears(); e.Action != "MODIFY" {
		t.Errorf("%+v", e)
	}
	// It was heard once, and by nobody of another experiment.
	if _, err := h.Send(demo, "cbr0", "RESET", ""); err != nil {
		t.Fatal(err)
	}
	if e := v2.hears(); e.Action != "RESET" {
		t.Errorf("%+v", e)
	}
	if _, err := h.Send(other, "cbr0", "RESET", ""); err != nil {
		t.Fatal(err)
	}
	if e := v3.hears(); e.Action != "RESET" {
		t.Errorf("%+v", e)
	}
}

// One jail's flood and one jail's silence cost that jail only.
func TestGreedyJails(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	h.open("v2", demo, key)
	deaf, v2 := h.join("v1", demo, "x"), h.join("v2", demo, "cbr0", "x")
	long := "A=" + strings.Repeat("y", maxArgs-2)
	h.await("the deaf one to be cut off", func() bool {
		if _, err := h.Send(demo, "x", "MODIFY", long); err != nil {
			t.Fatal(err)
		}
		v2.hears()
		return strings.Contains(h.log.String(), "cut off")
	})
	h.await("its connection to be gone", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.experiments[demo].subscribers) == 1
	})
	h.await("room", h.vacant("v1"))
	deaf.Close()

	// More connections than may be: the surplus is closed at once.
	var conns []*agent
	for range maxConnections + 3 {
		conns = append(conns, h.join("v1", demo))
	}
	isClosed := func(c *agent, patience time.Duration) bool {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, err := c.Read(make([]byte, 1))
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	for i, c := range conns[maxConnections:] { // they came last
		if !isClosed(c, 10*time.Second) {
			t.Errorf("connection %d isn't closed", maxConnections+i+1)
		}
	}
	for i, c := range conns[:maxConnections] {
		if isClosed(c, 50*time.Millisecond) {
			t.Errorf("connection %d is closed", i+1)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	h.await("room", h.vacant("v1"))

	// A line without end.
	c := h.join("v1", demo)
	_, _ = c.Write(make([]byte, event.MaxLine+1))
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an endless line: %v", err)
	}

	// A flood: what goes beyond the rate waits in the jail's own socket, and the
	// operator's word gets through at once.
	flood := h.join("v1", demo, "prog0")
	go func() {
		e := event.Event{Experiment: demo, Object: "nobody", Action: "START", Time: time.Now(), Sender: 7}
		for e.Seq = 1; ; e.Seq++ {
			if _, err := flood.Write(e.Sign([]byte(key)).Append(nil)); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	if _, err := h.Send(demo, "cbr0", "START", ""); err != nil {
		t.Fatal(err)
	}
	v2.hears()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the operator waited %v", took)
	}
	flood.Close()
}

func TestBucket(t *testing.T) {
	b, now := bucket{left: burst}, time.Now()
	for range burst {
		if w := b.take(now); w != 0 {
			t.Fatalf("waits %v within the burst", w)
		}
	}
	for _, want := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond} {
		if w := b.take(now).Round(time.Millisecond); w != want {
			t.Errorf("waits %v after it, want %v", w, want)
		}
	}
	if w := b.take(now.Add(time.Minute)); w != 0 || b.left != burst-1 {
		t.Errorf("waits %v a minute later, %v left", w, b.left)
	}
}

// Nobody but the jail's root speaks for the jail.
func TestForeignUser(t *testing.T) {
	h := newHost(t, t.TempDir())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket("v1"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(Door{VNode: "v1", Experiment: demo, Key: key, Root: uint32(os.Getuid()) + 1}, l); err != nil {
		t.Fatal(err)
	}
	c := h.join("v1", demo)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("let in: %v", err)
	}
}

// TestOpenAfterShutdown: a hub that has ended takes no more jails in.
func TestOpenAfterShutdown(t *testing.T) {
	h := newHost(t, t.TempDir())
	if err := h.Shutdown(); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(Door{VNode: "v1", Experiment: demo, Key: key}, l); err == nil {
		t.Error("let in")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is open: %v", err)
	}
}

// A subscriber that is given up is complained of once, one that left by itself
// not at all, although both may be told of events for a moment more.
func TestGoneSubscriberIsNoNews(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(s *subscriber)
		want int
	}{
		{"it left", (*subscriber).end, 0},
		{"it doesn't read", func(s *subscriber) {
			for range maxQueued {
				if !s.push([]byte("x")) {
					t.Fatal("given up too early")
				}
			}
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSubscriber("v1", nil)
			complaints := 0
			s.tooSlow = func() { complaints++ }
			row.end(s)
			for range 3 {
				if s.push([]byte("x")) {
					t.Error("it is handed more")
				}
			}
			if complaints != row.want {
				t.Errorf("%d complaints, want %d", complaints, row.want)
			}
		})
	}
}
