package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// A fakeTmcd takes requests as tmcd does, and answers with what it understood:
//
//	as=pcvm1-1 command=status version=40 args="…"
//
// A handler may answer otherwise.
type fakeTmcd struct {
	addr   netip.AddrPort
	handle func(conn net.Conn, raw []byte, r protocol.Request) // nil: answer

	mu   sync.Mutex
	seen [][]byte // requests, as they came
}

func startTmcd(t testing.TB, handle func(net.Conn, []byte, protocol.Request)) *fakeTmcd {
	t.Helper()
	return startTmcdAt(t, "127.0.0.1:0", handle)
}

func startTmcdAt(t testing.TB, addr string, handle func(net.Conn, []byte, protocol.Request)) *fakeTmcd {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeTmcd{addr: netip.MustParseAddrPort(ln.Addr().String()), handle: handle}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.one(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return f
}

func (f *fakeTmcd) one(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	raw, err := io.ReadAll(io.LimitReader(conn, protocol.MaxRequest))
	if err != nil {
		return
	}
	f.mu.Lock()
	f.seen = append(f.seen, raw)
	f.mu.Unlock()
	r, err := protocol.ParseRequest(raw)
	if err != nil {
		return
	}
	if f.handle != nil {
		f.handle(conn, raw, r)
		return
	}
	conn.Write(understood(r))
}

func understood(r protocol.Request) []byte {
	return fmt.Appendf(nil, "as=%s command=%s version=%d args=%q", r.NodeID(), r.Command, r.EffectiveVersion(), r.Args)
}

// requests returns what came so far.
func (f *fakeTmcd) requests() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]byte(nil), f.seen...)
}

func (f *fakeTmcd) server() client.Server {
	return client.Server{Name: "boss.example", Addrs: []netip.Addr{f.addr.Addr()}, Ports: []int{int(f.addr.Port())}}
}

// auditLog collects lines.
type auditLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (a *auditLog) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buf.Write(p)
}

func (a *auditLog) lines(t testing.TB) (lines []Line) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range bytes.Lines(a.buf.Bytes()) {
		var l Line
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("audit line %q: %v", line, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// wait polls for the nth line.
func (a *auditLog) wait(t testing.TB, n int) []Line {
	t.Helper()
	var lines []Line
	eventually(t, fmt.Sprintf("audit line %d", n), func() bool {
		lines = a.lines(t)
		return len(lines) >= n
	})
	return lines
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// serveAlone runs a proxy for pcvm1-1 and returns its socket.
func serveAlone(t testing.TB, o Options) string {
	t.Helper()
	o.Path, o.VNode = filepath.Join(t.TempDir(), "tmcc"), "pcvm1-1"
	start(t, o)
	eventually(t, "the socket is there", func() bool {
		conn, err := net.Dial("unix", o.Path)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return o.Path
}

// start runs Serve until the test ends.
func start(t testing.TB, o Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- Serve(ctx, o) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-result; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// ask sends raw in one piece, half-closes, and reads to the end.
func ask(t testing.TB, path, raw string) (string, error) {
	t.Helper()
	return exchange(t, path, true, raw)
}

// exchange sends pieces with pauses between them.
func exchange(t testing.TB, path string, halfClose bool, pieces ...string) (string, error) {
	t.Helper()
	conn := dial(t, path)
	defer conn.Close()
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(5 * time.Millisecond) // so that it is a piece of its own
		}
		if _, err := conn.Write([]byte(p)); err != nil {
			return "", err
		}
	}
	if halfClose {
		conn.CloseWrite()
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}

func dial(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func isReset(err error) bool {
	return err != nil && !errors.Is(err, io.EOF) && strings.Contains(err.Error(), "connection reset")
}

func servers(list ...*fakeTmcd) (out []client.Server) {
	for _, f := range list {
		out = append(out, f.server())
	}
	return out
}
