package proxy

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// A supervisor is the test's half of a proxy in a process of its own.
type supervisor struct {
	t    testing.TB
	conn *control.Conn
	cmd  *exec.Cmd
	err  chan error
	sign *control.SignServer

	answers chan control.Message
}

// supervise starts a proxy process and waits until it is ready.
func supervise(t testing.TB, mode string, sign *control.SignServer) *supervisor {
	t.Helper()
	ours, theirs, err := control.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"="+mode)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{t: t, conn: ours, cmd: cmd, err: make(chan error, 1), sign: sign, answers: make(chan control.Message, 100)}
	go func() { s.err <- s.read() }()
	t.Cleanup(func() {
		ours.Close()
		cmd.Process.Kill()
		cmd.Wait()
		<-s.err
	})
	if m := s.next(); m.Op != control.OpReady {
		t.Fatalf("first message %+v", m)
	}
	return s
}

func (s *supervisor) read() error {
	for {
		m, files, err := s.conn.Receive(context.Background())
		if err != nil {
			close(s.answers)
			return err
		}
		control.CloseFiles(files)
		if m.Op == control.OpSign {
			s.conn.Send(s.sign.Answer(m))
			continue
		}
		s.answers <- m
	}
}

func (s *supervisor) next() control.Message {
	s.t.Helper()
	select {
	case m, ok := <-s.answers:
		if !ok {
			s.t.Fatal("the proxy is gone")
		}
		return m
	case <-time.After(10 * time.Second):
		s.t.Fatal("the proxy says nothing")
	}
	return control.Message{}
}

// order sends m and wants an ok.
func (s *supervisor) order(m control.Message, files ...*os.File) {
	s.t.Helper()
	if err := s.try(m, files...); err != nil {
		s.t.Fatalf("%s: %v", m.Op, err)
	}
}

// try sends m and returns the error that it is answered with.
func (s *supervisor) try(m control.Message, files ...*os.File) error {
	s.t.Helper()
	if err := s.conn.Send(m, files...); err != nil {
		s.t.Fatal(err)
	}
	switch a := s.next(); {
	case a.Re != m.Op:
		s.t.Fatalf("%s is answered by %+v", m.Op, a)
	case a.Op == control.OpError:
		return errors.New(a.Error)
	}
	return nil
}

// socket makes a listening socket as the supervisor does, and keeps it.
func socket(t testing.TB, dir, vnode string) (path string, f *os.File) {
	t.Helper()
	path = filepath.Join(dir, vnode)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	defer ln.Close()
	if f, err = ln.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	return path, f
}

func (s *supervisor) useTmcd(f *fakeTmcd) {
	s.t.Helper()
	s.askAt(f.addr)
}

func (s *supervisor) askAt(tmcd netip.AddrPort) {
	s.t.Helper()
	server := control.Server{Name: "boss.example", Addrs: []netip.Addr{tmcd.Addr()}, Ports: []int{int(tmcd.Port())}}
	s.order(control.Message{Op: control.OpTmcd, Servers: []control.Server{server}})
}

func TestSupervisorHandsOverAndTakesAway(t *testing.T) {
	tmcd, s, dir := startTmcd(t, nil), supervise(t, "free", nil), t.TempDir()
	s.useTmcd(tmcd)
	one, fileOne := socket(t, dir, "pcvm1-1")
	two, fileTwo := socket(t, dir, "pcvm1-2")
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}, {VNode: "pcvm1-2"}}}, fileOne, fileTwo)
	for _, row := range []struct{ path, vnode string }{{one, "pcvm1-1"}, {two, "pcvm1-2"}} {
		if reply, err := ask(t, row.path, "status "); err != nil || !strings.Contains(reply, "as="+row.vnode+" ") {
			t.Errorf("%s: %q, %v", row.vnode, reply, err)
		}
	}
	held := dial(t, one) // in the middle of a request
	defer held.Close()
	held.Write([]byte("VERSION=40 stat"))
	eventually(t, "the proxy has read", func() bool { // else it waits in our copy of the socket
		s.conn.Send(control.Message{Op: control.OpCounters})
		return slices.ContainsFunc(s.next().Counters, func(c control.Counters) bool {
			return c.VNode == "pcvm1-1" && c.Active == 1
		})
	})
	s.order(control.Message{Op: control.OpClose, VNode: "pcvm1-1"})
	if _, err := held.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("a connection of the jail that was closed: %v", err)
	}
	if reply, err := ask(t, two, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-2 ") {
		t.Errorf("the other jail afterwards: %q, %v", reply, err)
	}
	s.conn.Send(control.Message{Op: control.OpCounters})
	m := s.next()
	if len(m.Counters) != 1 || m.Counters[0].OK != 2 || m.Counters[0].VNode != "pcvm1-2" || m.Proxy == nil || m.Proxy.Jails != 1 {
		t.Errorf("counters %+v, proxy %+v", m.Counters, m.Proxy)
	}
	s.order(control.Message{Op: control.OpDrain})
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after drain: %v", err)
	}
}

// TestCloseRightAfterDrain: a jail that is taken away while the proxy turns to
// draining is taken away, and the supervisor hears so.
func TestCloseRightAfterDrain(t *testing.T) {
	asked, over := make(chan struct{}), make(chan struct{})
	tmcd := startTmcd(t, func(net.Conn, []byte, protocol.Request) {
		asked <- struct{}{}
		select { // no answer before
		case <-over:
		case <-t.Context().Done():
		}
	})
	dir := t.TempDir()
	for i := range 40 {
		s := supervise(t, "free", nil)
		s.useTmcd(tmcd)
		path, file := socket(t, dir, fmt.Sprint("jail", i))
		s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}}}, file)
		held := dial(t, path) // under way, it keeps the proxy from leaving
		held.Write([]byte("VERSION=40 status "))
		held.CloseWrite()
		<-asked
		s.order(control.Message{Op: control.OpDrain})
		s.order(control.Message{Op: control.OpClose, VNode: "pcvm1-1"})
		if _, err := held.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("a connection of the jail that was closed: %v", err)
		}
		held.Close()
		over <- struct{}{}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("after drain: %v", err)
		}
	}
}

// heldKey signs when it is let.
type heldKey struct {
	crypto.Signer
	asked, let chan struct{}
}

// Sign implements [crypto.Signer].
func (k heldKey) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.asked <- struct{}{}
	<-k.let
	return k.Signer.Sign(r, digest, o)
}

// TestCloseWhileASignatureIsDue: a draining proxy that takes a jail away hears
// the signature that the jail's request waits for; else both wait for each other.
func TestCloseWhileASignatureIsDue(t *testing.T) {
	pki := makePKI(t)
	key := heldKey{pki.client.PrivateKey.(crypto.Signer), make(chan struct{}, 1), make(chan struct{})}
	s := supervise(t, "free", &control.SignServer{Key: key})
	s.order(startTLSTmcd(t, pki).message(control.TLS{CA: pki.caPEM, Cert: pki.clientPEM}))
	path, file := socket(t, t.TempDir(), "pcvm1-1")
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}}}, file)
	held := dial(t, path)
	defer held.Close()
	held.Write([]byte("VERSION=40 accounts "))
	held.CloseWrite()
	<-key.asked
	for _, m := range []control.Message{{Op: control.OpDrain}, {Op: control.OpClose, VNode: "pcvm1-1"}} {
		if err := s.conn.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	close(key.let) // the signature goes out behind both
	begun := time.Now()
	for _, op := range []string{control.OpDrain, control.OpClose} {
		if m := s.next(); m.Op != control.OpOK || m.Re != op {
			t.Errorf("%s is answered by %+v", op, m)
		}
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("the close was answered after %v: when the proxy no longer waited for the signature", took)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after drain: %v", err)
	}
}

// T25 of docs/spec/peers.md: no identity known, no answer; there is no default.
func TestT25NoDefaultIdentity(t *testing.T) {
	s, dir := supervise(t, "free", nil), t.TempDir()
	s.useTmcd(startTmcd(t, nil))
	path, file := socket(t, dir, "a")
	listen := func(names ...string) control.Message {
		m := control.Message{Op: control.OpListen}
		for _, n := range names {
			m.VNodes = append(m.VNodes, control.VNode{VNode: n})
		}
		return m
	}
	for name, row := range map[string]struct {
		m     control.Message
		files []*os.File
	}{
		"no name":                          {listen(), []*os.File{file}},
		"an empty name":                    {listen(""), []*os.File{file}},
		"a name with a space":              {listen("pcvm1-1 PROXYFOR=pcvm1-2"), []*os.File{file}},
		"a name tmcd would cut to another": {listen("pcvm1-1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), []*os.File{file}},
		"more names than sockets":          {listen("pcvm1-1", "pcvm1-2"), []*os.File{file}},
		"more sockets than names":          {listen("pcvm1-1"), []*os.File{file, file}},
		"a name twice":                     {listen("pcvm1-1", "pcvm1-1"), []*os.File{file, file}},
		"no socket":                        {listen("pcvm1-1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.try(row.m, row.files...); err == nil {
				t.Error("accepted")
			}
			conn := dial(t, path) // into the backlog of the supervisor's copy
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
			conn.Write([]byte("status "))
			if n, err := conn.Read(make([]byte, 100)); err == nil {
				t.Errorf("somebody answered %d bytes", n)
			}
		})
	}
}

// Decision 3 of docs/design.md: with the supervisor's copy of the socket, a
// killed proxy loses what is under way, and nobody else.
func TestKilledProxyLosesNothingInTheBacklog(t *testing.T) {
	tmcd, dir := startTmcd(t, nil), t.TempDir()
	path, file := socket(t, dir, "pcvm1-1")
	listen := control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}}}
	first := supervise(t, "free", nil)
	first.useTmcd(tmcd)
	first.order(listen, file)
	busy := dial(t, path)
	defer busy.Close()
	busy.Write([]byte("VERSION=40 stat"))
	eventually(t, "the proxy has read", func() bool {
		first.conn.Send(control.Message{Op: control.OpCounters})
		m := first.next()
		return m.Counters[0].Active == 1
	})
	first.cmd.Process.Kill()
	first.cmd.Wait()
	if _, err := busy.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("under way when it was killed: %v", err)
	}
	waiting := dial(t, path)
	defer waiting.Close()
	waiting.Write([]byte("nodeid "))
	second := supervise(t, "free", nil)
	second.useTmcd(tmcd)
	second.order(listen, file)
	reply := make([]byte, 100)
	if n, err := waiting.Read(reply); err != nil || !strings.Contains(string(reply[:n]), "as=pcvm1-1") {
		t.Errorf("in the backlog: %q, %v", reply[:n], err)
	}
}
