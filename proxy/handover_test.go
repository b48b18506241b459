//go:build linux

package proxy

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/proxy/control"
)

// Decision 3 of docs/design.md: the supervisor dies, the proxy goes on; the
// next supervisor finds it, and gets the sockets back.
func TestProxyOutlivesItsSupervisor(t *testing.T) {
	s, dir := supervise(t, "free", nil), t.TempDir()
	s.useTmcd(startTmcd(t, nil))
	path, file := socket(t, dir, "pcvm1-1")
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1", Cgroup: 0, Path: ""}}}, file)
	meeting := s.leave(dir)
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Errorf("without a supervisor: %q, %v", reply, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	next, err := control.Dial(ctx, meeting)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if m, _, err := next.Receive(ctx); err != nil || m.Op != control.OpReady {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := next.Send(control.Message{Op: control.OpReturn}); err != nil {
		t.Fatal(err)
	}
	m, files, err := next.Receive(ctx)
	defer control.CloseFiles(files)
	if err != nil || m.Op != control.OpReturn || len(files) != 1 || m.VNodes[0].VNode != "pcvm1-1" {
		t.Fatalf("%+v, %d files, %v", m, len(files), err)
	}
	if cookie(t, files[0]) != cookie(t, file) {
		t.Error("another socket came back")
	}
}

// leave ends the supervisor, after it has left the proxy a socket in dir for the
// next one.
func (s *supervisor) leave(dir string) (path string) {
	s.t.Helper()
	path = filepath.Join(dir, "control")
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		s.t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	f, err := ln.File()
	if err != nil {
		s.t.Fatal(err)
	}
	s.order(control.Message{Op: control.OpControl}, f)
	f.Close()
	ln.Close()
	s.conn.Close()
	return path
}

func cookie(t *testing.T, f *os.File) uint64 {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var c uint64
	raw.Control(func(fd uintptr) { c, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// T27 of docs/spec/peers.md: nobody can hand the proxy a descriptor. The kernel
// tells the sender (Linux 6.16); TestMain sees that none stays with us.
func TestT27DescriptorsAreNotTaken(t *testing.T) {
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(startTmcd(t, nil))}})
	conn := dial(t, path)
	defer conn.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	_, _, err = conn.WriteMsgUnix([]byte("status "), unix.UnixRights(int(w.Fd())), nil)
	if err == nil {
		t.Error("the kernel took the descriptor")
	}
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Errorf("%q, %v", reply, err)
	}
}

// T24 of docs/spec/peers.md: what the old pcvm1-1 had open is dead before a new
// one can exist; an answer in flight never reaches it.
func TestT24OldConnectionsDieWithTheJail(t *testing.T) {
	s, dir := supervise(t, "free", nil), t.TempDir()
	s.useTmcd(startTmcd(t, nil))
	vnode := []control.VNode{{VNode: "pcvm1-1"}}
	old, file := socket(t, dir, "pcvm1-1")
	s.order(control.Message{Op: control.OpListen, VNodes: vnode}, file)
	var held []*net.UnixConn
	for _, sent := range []string{"", "V", "VERSION=40 status"} {
		c := dial(t, old)
		defer c.Close()
		c.Write([]byte(sent))
		held = append(held, c)
	}
	eventually(t, "they are there", func() bool {
		s.conn.Send(control.Message{Op: control.OpCounters})
		return s.next().Counters[0].Open == 3
	})
	s.order(control.Message{Op: control.OpClose, VNode: "pcvm1-1"})
	fresh, file := socket(t, t.TempDir(), "pcvm1-1")
	s.order(control.Message{Op: control.OpListen, VNodes: vnode}, file)
	for i, c := range held {
		c.Write([]byte(" "))
		if n, err := c.Read(make([]byte, 100)); err == nil {
			t.Errorf("connection %d of the old jail got %d bytes", i, n)
		}
	}
	if reply, err := ask(t, fresh, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Errorf("the new one: %q, %v", reply, err)
	}
	s.conn.Send(control.Message{Op: control.OpCounters})
	if c := s.next().Counters[0]; c.Connections != 1 {
		t.Errorf("the new jail inherits counters: %+v", c)
	}
}
