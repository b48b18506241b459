package client

import (
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
)

// A peer is a server of one or more connections, each handled by a function.
// What it received, connection by connection, is kept.
type peer struct {
	ln   net.Listener
	mu   sync.Mutex
	seen []string
	wg   sync.WaitGroup
}

// serve starts a peer on network and address; it ends with the test.
func serve(t testing.TB, network, address string, handle func(net.Conn) string) *peer {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{ln: ln}
	p.wg.Go(func() { p.accept(handle) })
	t.Cleanup(p.stop)
	return p
}

func (p *peer) accept(handle func(net.Conn) string) {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() {
			defer conn.Close()
			got := handle(conn)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.seen = append(p.seen, got)
		})
	}
}

func (p *peer) stop() {
	p.ln.Close()
	p.wg.Wait()
}

// requests waits for the handlers and returns what they saw.
func (p *peer) requests() []string {
	p.stop()
	return p.seen
}

func (p *peer) port() int { return p.ln.Addr().(*net.TCPAddr).Port }

// localhost is a Server of these ports on 127.0.0.1.
func localhost(ports ...int) []Server {
	return []Server{{Name: "boss", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Ports: ports}}
}

// answer reads the request to its end, says reply, and closes.
func answer(reply string) func(net.Conn) string {
	return func(c net.Conn) string {
		req, _ := io.ReadAll(c)
		io.WriteString(c, reply)
		return string(req)
	}
}

// readOnce answers after one read, as the original does for VERSION <= 21.
func readOnce(reply string) func(net.Conn) string {
	return func(c net.Conn) string {
		buf := make([]byte, protocol.MaxRequest)
		n, _ := c.Read(buf)
		io.WriteString(c, reply)
		return string(buf[:n])
	}
}

// reset sends some bytes and then resets the connection.
func reset(first string) func(net.Conn) string {
	return func(c net.Conn) string {
		req, _ := io.ReadAll(c)
		io.WriteString(c, first)
		c.(*net.TCPConn).SetLinger(0)
		return string(req)
	}
}

// silent reads and never answers, until done.
func silent(done context.Context) func(net.Conn) string {
	return func(c net.Conn) string {
		req, _ := io.ReadAll(c)
		<-done.Done()
		return string(req)
	}
}

// drip sends reply a byte at a time, every so often.
func drip(reply string, every time.Duration) func(net.Conn) string {
	return func(c net.Conn) string {
		req, _ := io.ReadAll(c)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := range len(reply) {
			<-tick.C
			io.WriteString(c, reply[i:i+1])
		}
		return string(req)
	}
}

// closedPort is a TCP port of 127.0.0.1 on which nobody listens.
func closedPort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func mustNew(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// within is a context that fails the test's wait rather than hang it.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func shortSocket(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "s")
}

func status() protocol.Request {
	return protocol.Request{Version: 40, Command: "status", HasArgs: true}
}
