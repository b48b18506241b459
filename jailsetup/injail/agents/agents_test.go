package agents

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/trafgen"
)

const key = "0011223344"

// process is an agents process in this one.
type process struct {
	Paths
	tb   testing.TB
	log  *buffer
	stop func()
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
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

// start runs the agents of a jail with one UDP source, to a port of the test's,
// and one program.
func start(tb testing.TB) (*process, net.PacketConn) {
	tb.Helper()
	root := tb.TempDir()
	to, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { to.Close() })
	port := to.LocalAddr().(*net.UDPAddr).Port
	for path, text := range map[string]string{
		"/etc/passwd":                    fmt.Sprintf("self:x:%d:%d::/:/bin/sh\n", os.Getuid(), os.Getgid()),
		"/etc/group":                     "",
		"/var/emulab/boot/nickname":      "node-a.demo.jails\n",
		"/var/emulab/boot/eventkey":      key,
		"/var/emulab/boot/tmcc/programs": "UID=self\nAGENT=prog0 EXPECTED_EXIT_CODE=3 COMMAND='exit 4'\n",
		"/var/emulab/boot/tmcc/trafgens": fmt.Sprintf("TRAFGEN=cbr0 MYNAME=127.0.0.1 MYPORT=0 PEERNAME=127.0.0.1 PEERPORT=%d PROTO=udp ROLE=source GENERATOR=TG\n", port),
		"/run/emulab/here":               "",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &process{Below(root), tb, &buffer{}, stop}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- Run(ctx, p.Paths, slog.New(slog.NewTextHandler(p.log, nil)), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		if _, err := os.Stat(p.PID); err == nil {
			tb.Error("the pid file is still there")
		}
		if tb.Failed() {
			tb.Log(p.log)
		}
	})
	return p, to
}

func (p *process) state() trafgen.State {
	p.tb.Helper()
	st, err := Query(context.Background(), p.Socket)
	if err != nil {
		p.tb.Fatal(err)
	}
	return st.Generators[0].State
}

func await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// hub is the host's end of the event socket.
func hub(tb testing.TB, path string) net.Listener {
	tb.Helper()
	if err := os.RemoveAll(path); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

func accept(tb testing.TB, l net.Listener) net.Conn {
	tb.Helper()
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

func TestHub(t *testing.T) {
	p, _ := start(t)
	c := accept(t, hub(t, p.Hub))
	seq := uint64(0)
	send := func(change func(*event.Event), key string) {
		t.Helper()
		seq++
		e := event.Event{Experiment: "jails/demo", Object: "cbr0", Type: event.TrafGen, Action: "START", Args: "RATE=8",
			Time: time.Now(), Seq: seq, Sender: 1}
		if change != nil {
			change(&e)
		}
		if _, err := c.Write(e.Sign([]byte(key)).Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	refused := func() int { return strings.Count(p.log.String(), "event refused") }

	for i, row := range []struct {
		name   string
		change func(*event.Event)
		key    string
	}{
		{"wrong key", nil, "guess"},
		{"other experiment", func(e *event.Event) { e.Experiment = "jails/other" }, key},
		{"old", func(e *event.Event) { e.Time = e.Time.Add(-time.Hour) }, key},
		{"unknown object", func(e *event.Event) { e.Object = "cbr9" }, key},
	} {
		send(row.change, row.key)
		await(t, row.name, func() bool { return refused() == i+1 })
		if s := p.state(); s != trafgen.Idle {
			t.Errorf("%s: obeyed, %v", row.name, s)
		}
	}
	send(nil, key)
	await(t, "genuine", func() bool { return p.state() == trafgen.Sending })
	send(func(e *event.Event) { e.Action, e.Seq = "STOP", 1 }, key)
	await(t, "seen before", func() bool { return refused() == 5 })
	send(func(e *event.Event) { e.Action, e.Args = "STOP", "" }, key)
	await(t, "stop", func() bool { return p.state() == trafgen.Waiting })
}

// TestHubComesBack: what was told holds while the hub is away.
func TestHubComesBack(t *testing.T) {
	p, _ := start(t)
	l := hub(t, p.Hub)
	c := accept(t, l)
	if err := Send(context.Background(), p.Socket, event.Event{Object: "cbr0", Action: "START"}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	c.Close()
	c = accept(t, hub(t, p.Hub))
	if s := p.state(); s != trafgen.Sending {
		t.Errorf("%v while the hub was away", s)
	}
	e := event.Event{Experiment: "jails/demo", Object: "cbr0", Type: event.TrafGen, Action: "STOP", Time: time.Now(), Seq: 1, Sender: 9}
	if _, err := c.Write(e.Sign([]byte(key)).Append(nil)); err != nil {
		t.Fatal(err)
	}
	await(t, "stop", func() bool { return p.state() == trafgen.Waiting })
}

func TestProgramTellsTheHub(t *testing.T) {
	p, _ := start(t)
	c := accept(t, hub(t, p.Hub))
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	guard := event.Guard{Experiment: "jails/demo", Key: []byte(key)}
	lines := bufio.NewReader(c)
	hear := func() event.Event {
		t.Helper()
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Parse(line)
		if err == nil {
			err = guard.Check(e, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := hear(); e.Type != event.Node || e.Action != "SUBSCRIBE" || e.Args != "cbr0=TRAFGEN prog0=PROGRAM" {
		t.Errorf("%+v", e)
	}
	if err := Send(context.Background(), p.Socket, event.Event{Object: "prog0", Action: "START"}); err != nil {
		t.Fatal(err)
	}
	e := hear()
	if e.Object != "prog0" || e.Action != "COMPLETE" || e.Args != "ERROR=1 EXIT=4" {
		t.Errorf("%+v", e)
	}
}

func TestControlSocket(t *testing.T) {
	p, to := start(t)
	if st, err := os.Stat(p.Socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", st.Mode(), err)
	}
	if _, err := listen(p.Socket); err == nil {
		t.Error("a second process took the socket")
	}
	for name, text := range map[string]string{
		"garbage": "what?\n", "no line": "", "too long": strings.Repeat("x", 2*event.MaxLine) + "\n",
	} {
		c, err := net.Dial("unix", p.Socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		c.(*net.UnixConn).CloseWrite()
		if reply, _ := io.ReadAll(c); strings.Contains(string(reply), `"status"`) {
			t.Errorf("%s: %s", name, reply)
		}
		c.Close()
	}
	if err := Send(context.Background(), p.Socket, event.Event{Object: "cbr0", Action: "START", Args: "INTERVAL=0.01 PACKETSIZE=50"}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if err := to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := to.ReadFrom(buf); err != nil || n != 50 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestReload(t *testing.T) {
	p, _ := start(t)
	if err := os.WriteFile(filepath.Join(p.Boot, "tmcc/trafgens"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Reload(context.Background(), p.Socket); err != nil {
		t.Fatal(err)
	}
	st, err := Query(context.Background(), p.Socket)
	if err != nil || len(st.Generators) != 0 || len(st.Programs) != 1 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestCommandLines(t *testing.T) {
	for _, row := range []struct {
		name string
		main func([]string) int
		args []string
		want int
	}{
		{"help", Main, []string{"-h"}, exitOK},
		{"unknown option", Main, []string{"-x"}, exitUsage},
		{"a word too many", Main, []string{"x"}, exitUsage},
		{"event help", EventMain, []string{"-h"}, exitOK},
		{"no event", EventMain, nil, exitUsage},
		{"half an event", EventMain, []string{"cbr0"}, exitUsage},
		{"status and event", EventMain, []string{"-status", "a", "b"}, exitUsage},
		{"nobody there", EventMain, []string{"-root", t.TempDir(), "cbr0", "START"}, exitFailed},
	} {
		if got := row.main(row.args); got != row.want {
			t.Errorf("%s: exit %d, want %d", row.name, got, row.want)
		}
	}
}
