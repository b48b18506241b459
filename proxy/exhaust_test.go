package proxy

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"emujail/proxy/control"
)

// fewFiles is the descriptor limit of a proxy in mode "few".
const fewFiles = 48

// Descriptors run out: who comes then waits in the backlog and is answered once
// others have gone; nothing ends.
func TestDescriptorsRunOut(t *testing.T) {
	s, dir := supervise(t, "few", nil), t.TempDir()
	s.useTmcd(startTmcd(t, nil))
	greedy, fileGreedy := socket(t, dir, "pcvm1-1")
	honest, fileHonest := socket(t, dir, "pcvm1-2")
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}, {VNode: "pcvm1-2"}}}, fileGreedy, fileHonest)
	var held []net.Conn
	for range fewFiles + 10 {
		held = append(held, dial(t, greedy))
	}
	eventually(t, "descriptors have run out", func() bool {
		if err := s.conn.Send(control.Message{Op: control.OpCounters}); err != nil {
			t.Fatal(err)
		}
		return s.next().Proxy.AcceptErrs > 0
	})
	answer := make(chan error, 1)
	go func() {
		reply, err := ask(t, honest, "status ")
		if err == nil && !strings.Contains(reply, "as=pcvm1-2 ") {
			err = fmt.Errorf("answer %q", reply)
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Errorf("answered without a descriptor: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, c := range held {
		c.Close()
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

// tmcd is stopped and started again under load: each request gets its whole
// answer or an error, and afterwards all are answered.
func TestTmcdRestartsUnderLoad(t *testing.T) {
	const restarts, jails = 5, 8
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	s, dir := supervise(t, "free", nil), t.TempDir()
	var good, failed atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for round := range restarts {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			tmcd := startTmcdAt(t, addr, nil)
			if round == 0 {
				s.useTmcd(tmcd)
				for i := range jails {
					vnode := fmt.Sprintf("pcvm1-%d", i)
					path, f := socket(s.t, dir, vnode)
					s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: vnode}}}, f)
					all.Go(func() { keepAsking(s.t, path, vnode, stop, &good, &failed) })
				}
			}
			before := good.Load()
			eventually(t, "answers", func() bool { return good.Load() > before+50 })
		})
	}
	startTmcdAt(t, addr, nil) // for those that wait
	close(stop)
	all.Wait()
	t.Logf("%d good, %d cut off by %d stops", good.Load(), failed.Load(), restarts)
	if path := filepath.Join(dir, "pcvm1-0"); failed.Load() > restarts*jails {
		t.Errorf("%d requests failed: more than were under way", failed.Load())
	} else if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-0 ") {
		t.Errorf("afterwards: %q, %v", reply, err)
	}
}

// keepAsking asks until stop. An answer is whole, or there is an error.
func keepAsking(t testing.TB, path, vnode string, stop <-chan struct{}, good, failed *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		reply, err := ask(t, path, "status ")
		switch {
		case err == nil && strings.HasPrefix(reply, "as="+vnode+" command=status"):
			good.Add(1)
		case isReset(err), errors.Is(err, syscall.EPIPE): // it was gone before it had a byte
			failed.Add(1)
		default:
			t.Errorf("%s: %q, %v", vnode, reply, err)
			return
		}
	}
}
