package supervise

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/jailsetup/jail"
	"emujail/proxy/control"
)

// keeperIn is a keeper that has started nothing, with its files in a directory of
// the test's.
func keeperIn(t *testing.T) (k *proxyKeeper, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	k = &proxyKeeper{
		site: jail.Site{Run: t.TempDir()}, group: &sync.WaitGroup{}, doors: func() []*door { return nil },
		log: slog.New(slog.NewTextHandler(log, nil)), ready: make(chan struct{}),
	}
	t.Cleanup(k.group.Wait)
	return k, log
}

// A said is what a proxy of the test's answers to one order. The files are closed
// when it is said.
type said struct {
	m     control.Message
	files []*os.File
}

var ok = []said{{m: control.Message{Op: control.OpOK}}}

// speak is a proxy's half of a conversation: each order is answered by do, until
// the other end hangs up.
func speak(conn *control.Conn, do func(m control.Message) []said) {
	defer conn.Close()
	if conn.Send(control.Message{Op: control.OpReady}) != nil {
		return
	}
	for {
		m, files, err := conn.Receive(context.Background())
		if err != nil {
			return
		}
		_ = control.CloseFiles(files)
		for _, a := range do(m) {
			if a.m.Re == "" {
				a.m.Re = m.Op
			}
			if errors.Join(conn.Send(a.m, a.files...), control.CloseFiles(a.files)) != nil {
				return
			}
		}
	}
}

// talkWith is a conversation with such a proxy.
func talkWith(t *testing.T, k *proxyKeeper, do func(m control.Message) []said) *talk {
	t.Helper()
	ours, f, err := control.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := control.NewConn(f)
	if err != nil {
		t.Fatal(err)
	}
	k.group.Go(func() { speak(theirs, do) })
	talk, err := k.begin(ours, readyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = talk.end() })
	return talk
}

// TestCloseAtAProxyThatJustDied: a dead proxy has no sockets, also while its end
// hasn't been heard yet.
func TestCloseAtAProxyThatJustDied(t *testing.T) {
	for range 200 {
		k, _ := keeperIn(t)
		ours, f, err := control.Pair()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := control.NewConn(f)
		if err == nil {
			err = theirs.Send(control.Message{Op: control.OpReady})
		}
		if err != nil {
			t.Fatal(err)
		}
		talk, err := k.begin(ours, readyTimeout)
		if err != nil {
			t.Fatal(err)
		}
		talk.note("pcvm1-1", nil)
		if err := theirs.Close(); err != nil {
			t.Fatal(err)
		}
		if err := talk.close("pcvm1-1"); err != nil {
			t.Fatal(err)
		}
		if err := talk.end(); err != nil {
			t.Fatal(err)
		}
	}
}

// A changed policy is told until the proxy has taken it, and once only: also one
// that changes while the vnode's socket is being handed over.
func TestPolicyIsToldUntilItIsTaken(t *testing.T) {
	k, log := keeperIn(t)
	d := &door{vnode: "pcvm1-1", policy: policyFile{path: filepath.Join(t.TempDir(), "policy")}}
	change := func(rules string) {
		t.Helper()
		if err := os.WriteFile(d.policy.path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	d.tmcc = socket
	k.doors = func() []*door { return []*door{d} }
	heard := make(chan string, 10)
	refused := false
	k.talk = talkWith(t, k, func(m control.Message) []said {
		switch m.Op {
		case control.OpListen:
			change("allow role\n")
			if err := d.policy.renew(); err != nil {
				t.Error(err)
			}
		case control.OpPolicy:
			heard <- strings.Join(m.VNodes[0].Rules, ",")
			if len(m.VNodes[0].Rules) == 2 && !refused {
				refused = true
				return []said{{m: control.Message{Op: control.OpError, Error: "not now"}}}
			}
		}
		return ok
	})
	if err := k.talk.listen("", []*door{d}); err != nil {
		t.Fatal(err)
	}
	k.renewPolicies()
	k.renewPolicies()
	change("allow role\ndeny status\n")
	for range 3 {
		k.renewPolicies()
	}
	want := []string{"allow role", "allow role,deny status", "allow role,deny status"}
	var got []string
	for range len(heard) {
		got = append(got, <-heard)
	}
	if !slices.Equal(got, want) {
		t.Errorf("it heard %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), "policy stays as it was"); n != 1 {
		t.Errorf("%d complaints, want one:\n%s", n, log)
	}
}

// An answer without end ends the conversation; it isn't kept.
func TestAnswersEnd(t *testing.T) {
	k, _ := keeperIn(t)
	part := said{m: control.Message{Op: control.OpCounters, More: true}}
	k.talk = talkWith(t, k, func(control.Message) []said { return slices.Repeat([]said{part}, 2*maxParts) })
	err := k.talk.ask(control.Message{Op: control.OpCounters})
	if err == nil || !strings.Contains(err.Error(), "has no end") || !k.talk.over() {
		t.Errorf("%v, and the conversation is over: %t", err, k.talk.over())
	}
}

// A proxy that hangs is noticed though nobody has an order for it.
func TestSilentProxyIsNoticed(t *testing.T) {
	k, _ := keeperIn(t)
	hung := make(chan struct{})
	talk := talkWith(t, k, func(control.Message) []said {
		<-hung
		return ok
	})
	defer close(hung)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		talk.mind(time.Millisecond)
	}()
	select {
	case <-ended:
	case <-time.After(3 * answerTimeout):
		t.Fatal("nobody noticed")
	}
	if !talk.over() {
		t.Error("the conversation goes on")
	}
}

// What a proxy hands over without being asked is closed at once.
func TestDescriptorsNobodyAskedFor(t *testing.T) {
	k, _ := keeperIn(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	with := func(op, re string) said { return said{control.Message{Op: op, Re: re}, []*os.File{copyOf(t, write)}} }
	talk := talkWith(t, k, func(m control.Message) []said {
		return []said{
			with(control.OpReturn, control.OpReturn), with(control.OpOK, control.OpListen), with(control.OpCounters, m.Op),
			ok[0], with(control.OpOK, m.Op),
		}
	})
	if err := talk.ask(control.Message{Op: control.OpCounters}); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if err := read.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := read.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v: a descriptor is kept", err)
	}
}
