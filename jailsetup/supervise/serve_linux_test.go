package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/peer"
)

// A supervisor that can't see jails' ends any more stops, with the reason.
func TestBlindSupervisorStops(t *testing.T) {
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	w.epoll.Close()
	stopRead, stopWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stopRead.Close()
	defer stopWrite.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &Supervisor{watch: w, stop: cancel, log: slog.New(slog.DiscardHandler)}
	if err := s.watchEnds(stopRead); err == nil || ctx.Err() == nil {
		t.Errorf("%v, and it serves on: %t", err, ctx.Err() == nil)
	}
}

// A jail that ended and whose record can't be read is nobody's: somebody is told.
func TestEndOfAnUnreadableJail(t *testing.T) {
	site := jail.Site{State: t.TempDir()}
	r := jail.Record{VNode: "pcvm1-1", Phase: jail.Up}
	if err := os.MkdirAll(site.Dir(r.VNode), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := site.Save(r); err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(site.Dir(r.VNode), "*"))
	if err != nil || len(records) != 1 {
		t.Fatalf("%v, %v", records, err)
	}
	if err := os.WriteFile(records[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	defer pidfd.Close()
	var log bytes.Buffer
	s := &Supervisor{host: &jail.Host{Site: site}, log: slog.New(slog.NewTextHandler(&log, nil)), locks: map[string]chan struct{}{}}
	if s.takeEnd(t.Context(), r, pidfd) || !strings.Contains(log.String(), "jail that ended is not taken down") {
		t.Errorf("the log:\n%s", &log)
	}
	if err := cmd.Wait(); !errors.Is(err, unix.ECHILD) {
		t.Errorf("it is in the process table still: %v", err)
	}
}

// What can't be used of the sockets that were given is closed.
func TestGivenSocketsAreClosedOnFailure(t *testing.T) {
	dir := t.TempDir()
	s := &Supervisor{doors: map[string]*door{}}
	tmcc, err := bindFile(filepath.Join(dir, "tmcc"), tmccMode)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.furnish(&door{vnode: "pcvm1-1"}, filepath.Join(dir, "none"), sockets{tmcc: tmcc}); err == nil {
		t.Fatal("a console is bound where there is no directory")
	}
	if err := tmcc.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close it: %v", err)
	}
}

// A connection that is taken in while the consoles are closed is closed, too.
func TestConsoleComesTooLate(t *testing.T) {
	l, err := bind(filepath.Join(t.TempDir(), "console"), consoleMode)
	if err != nil {
		t.Fatal(err)
	}
	c := newConsoles(l)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	ours, theirs := pair(t)
	defer theirs.Close()
	u, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		t.Fatal(err)
	}
	c.keep(peer.Conn{UnixConn: u.(*net.UnixConn)})
	if err := theirs.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want its end", err)
	}
}

// Who waits for another verb is told so.
func TestVerbWaitsForAnother(t *testing.T) {
	s := &Supervisor{host: &jail.Host{Site: jail.Site{State: t.TempDir()}}, locks: map[string]chan struct{}{}}
	unlock, err := s.lock(t.Context(), "pcvm1-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	defer client.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- s.change(t.Context(), server, Request{Verb: VerbKill, VNode: "pcvm1-1", DryRun: true})
		server.Close()
	}()
	var r Reply
	err = json.NewDecoder(client).Decode(&r)
	if err != nil || r.Step == nil || r.Step.Outcome != "note" || !strings.Contains(r.Step.Step, "another verb") {
		t.Errorf("%+v, %v", r, err)
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	unlock()
	<-ended
}

// A boot that waits for a switch holds no place meanwhile, and has one again
// afterwards; one that is told to end has none.
func TestRestingHoldsNoPlace(t *testing.T) {
	slots := make(chan struct{}, 1)
	first, second := place{slots: slots}, place{slots: slots}
	if err := first.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	rested := make(chan error, 1)
	go func() { rested <- first.rest(t.Context(), 10*time.Millisecond) }()
	if err := second.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-rested:
		t.Fatalf("two have the same place: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	second.give()
	if err := <-rested; err != nil || !first.held {
		t.Fatalf("%v, held: %t", err, first.held)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.rest(ctx, time.Hour); !errors.Is(err, context.Canceled) || first.held || len(slots) != 0 {
		t.Errorf("%v, held: %t, %d taken", err, first.held, len(slots))
	}
	first.give()
}
