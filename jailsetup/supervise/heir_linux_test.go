package supervise

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/jail"
	"emujail/proxy/control"
)

// TestNoProxyIsForgotten: a supervisor that notes its proxy and dies before it
// has ended the earlier one leaves both to the next, which can end both.
func TestNoProxyIsForgotten(t *testing.T) {
	site := jail.Site{Run: t.TempDir()}
	start := func() (pid int, ended <-chan error) {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		return cmd.Process.Pid, done
	}
	first, firstEnded := start()
	second, secondEnded := start()

	one := &proxyKeeper{site: site, log: slog.New(slog.DiscardHandler)}
	if err := one.notePID(first); err != nil {
		t.Fatal(err)
	}
	two := &proxyKeeper{site: site, log: one.log}
	before, err := two.pinOld()
	if err != nil || len(before.pidfds) != 1 {
		t.Fatalf("%+v, %v: want the first supervisor's proxy", before.processes, err)
	}
	two.old = &predecessor{noted: before}
	if err := two.notePID(second); err != nil {
		t.Fatal(err)
	}

	three := &proxyKeeper{site: site, log: one.log}
	found, err := three.pinOld()
	if err != nil || len(found.pidfds) != 2 {
		t.Fatalf("%+v, %v: want both", found.processes, err)
	}
	if err := found.end(); err != nil {
		t.Fatal(err)
	}
	<-firstEnded
	<-secondEnded
	if left, err := three.pinOld(); err != nil || len(left.pidfds) != 0 {
		t.Errorf("%+v, %v: they have ended", left.processes, err)
	}
	if err := before.end(); err != nil {
		t.Error(err)
	}
}

// inheritFake gives the keeper a proxy that an earlier supervisor left: a process, and
// a voice that hands one socket over. Until hangUp is closed it only listens then.
func inheritFake(t *testing.T, k *proxyKeeper, hangUp <-chan struct{}) (process *exec.Cmd, left <-chan struct{}) {
	t.Helper()
	process = exec.Command("sleep", "1000")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	if err := k.notePID(process.Process.Pid); err != nil {
		t.Fatal(err)
	}
	ln, err := bindAs("unixpacket", k.heirPath(), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	accepted := make(chan error, 1)
	go func() {
		defer close(gone)
		conn, err := control.Accept(ln)
		accepted <- err
		if err != nil {
			return
		}
		go func() { <-hangUp; conn.Close() }()
		speak(conn, func(m control.Message) []said {
			if m.Op == control.OpReturn {
				return []said{{control.Message{Op: m.Op, VNodes: []control.VNode{{VNode: "pcvm1-1"}}}, []*os.File{socket}}}
			}
			return ok
		})
	}()
	k.inherit(t.Context())
	if err := <-accepted; err != nil || k.old == nil {
		t.Fatalf("nothing inherited: %v", err)
	}
	return process, gone
}

// A supervisor that ends before it had a proxy of its own leaves the earlier one
// as it was.
func TestUnreplacedProxyIsLeft(t *testing.T) {
	k, log := keeperIn(t)
	k.site.Programs = t.TempDir() // there is no proxy to start
	hangUp := make(chan struct{})
	defer close(hangUp)
	process, left := inheritFake(t, k, hangUp)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	k.group.Go(func() { k.run(ctx) })
	go func() { k.group.Wait(); close(ended) }()
	cancel()
	for _, c := range [...]<-chan struct{}{ended, left} {
		select {
		case <-c:
		case <-time.After(2 * answerTimeout):
			t.Fatalf("it is held still:\n%s", log)
		}
	}
	if err := process.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process: %v", err)
	}
}

// However many proxies are started while the earlier one drains, it is retired
// once.
func TestProxyIsRetiredOnce(t *testing.T) {
	k, log := keeperIn(t)
	hangUp := make(chan struct{})
	process, _ := inheritFake(t, k, hangUp)
	k.retire()
	k.retire()
	close(hangUp)
	if err := process.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	k.group.Wait()
	if strings.Contains(log.String(), "doesn't end") || k.old != nil {
		t.Errorf("%+v is left:\n%s", k.old, log)
	}
}
