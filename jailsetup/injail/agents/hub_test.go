package agents

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"emujail/jailsetup/event"
)

// heard reads one event.
func heard(t *testing.T, lines *bufio.Reader) event.Event {
	t.Helper()
	line, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestSubscriptionIsOfItsMoment: what the hub is told holds when it is told, with
// nothing said in between: else a RELOAD while the connection is opened would be
// lost, and the one before it stand.
func TestSubscriptionIsOfItsMoment(t *testing.T) {
	var u upstream
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	if err := theirs.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	words := func() said {
		if u.mu.TryLock() {
			u.mu.Unlock()
			t.Error("somebody else could say something newer before")
		}
		return said{event.Event{Object: "*", Type: event.Node, Action: "SUBSCRIBE", Time: time.Now()}, nil}
	}
	lines := bufio.NewReader(theirs)
	for n, say := range []func(){func() { u.open(ours, words) }, func() { u.send(words) }} {
		done := make(chan struct{})
		go func() { defer close(done); say() }()
		if e := heard(t, lines); e.Seq != uint64(n+1) {
			t.Errorf("%+v", e)
		}
		<-done
	}
	u.close()
	u.send(func() said { t.Error("asked though nobody listens"); return said{} })
}

// TestReloadTellsTheHub whose events are wanted now.
func TestReloadTellsTheHub(t *testing.T) {
	p, _ := start(t)
	c := accept(t, hub(t, p.Hub))
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(c)
	if e := heard(t, lines); e.Args != "cbr0=TRAFGEN prog0=PROGRAM" {
		t.Errorf("%+v", e)
	}
	if err := os.WriteFile(filepath.Join(p.Boot, "tmcc/trafgens"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Reload(context.Background(), p.Socket); err != nil {
		t.Fatal(err)
	}
	if e := heard(t, lines); e.Action != "SUBSCRIBE" || e.Args != "prog0=PROGRAM" {
		t.Errorf("%+v", e)
	}
}
