package client

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A datagramPeer answers UDP requests until the test ends; "" is no datagram.
type datagramPeer struct {
	port int
	seen atomic.Int32
}

func datagrams(t testing.TB, reply func(string) string) *datagramPeer {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &datagramPeer{port: conn.LocalAddr().(*net.UDPAddr).Port}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			p.seen.Add(1)
			if text := reply(string(buf[:n])); text != "" {
				conn.WriteTo([]byte(text), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return p
}

func TestUDP(t *testing.T) {
	long := strings.Repeat("x", 8192)
	p := datagrams(t, func(req string) string { return req + long })
	c := mustNew(t, Options{Network: UDP, Servers: localhost(p.port)})
	got, err := c.Do(within(t), status())
	if err != nil || string(got) != "VERSION=40 status "+long {
		t.Errorf("Do = %.40q, %v", got, err)
	}
}

func TestUDPRefusedPortThenNext(t *testing.T) {
	closed, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := closed.LocalAddr().(*net.UDPAddr).Port
	closed.Close()
	p := datagrams(t, func(string) string { return "UPDATE=0\n" })
	c := mustNew(t, Options{Network: UDP, Servers: localhost(port, p.port), RefusedWait: -1})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "UPDATE=0\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

// An empty answer is no datagram: only a time-out ends the wait, and the
// request isn't sent again.
func TestUDPNoAnswer(t *testing.T) {
	end := make(chan struct{})
	p := datagrams(t, func(req string) string {
		if req == "the end" {
			close(end)
		}
		return ""
	})
	c := mustNew(t, Options{Network: UDP, Servers: localhost(p.port), Timeout: 500 * time.Millisecond})
	_, err := c.Do(within(t), status())
	conn, dialErr := net.Dial("udp", localhost(p.port)[0].addr(p.port))
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	defer conn.Close()
	io.WriteString(conn, "the end") // comes after all that Do has sent
	select {
	case <-end:
	case <-within(t).Done():
		t.Fatal("the peer hears nothing")
	}
	if n := p.seen.Load() - 1; !errors.Is(err, ErrNoProgress) || !errors.Is(err, ErrMaybeSeen) || n != 1 {
		t.Errorf("Do: %v; asked %d times", err, n)
	}
}

func TestUnix(t *testing.T) {
	path := shortSocket(t)
	p := serve(t, "unix", path, answer("FREE\n"))
	c := mustNew(t, Options{Network: Unix, UnixPath: path})
	req := status()
	req.UseUDP = true
	if got, err := c.Do(within(t), req); err != nil || string(got) != "FREE\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
	if reqs := p.requests(); len(reqs) != 1 || reqs[0] != "USEUDP=1 VERSION=40 status " {
		t.Errorf("the server saw %q", reqs)
	}
}

// The proxy may come later, and its socket may be left from an earlier one.
func TestUnixSocketComesLater(t *testing.T) {
	for name, dead := range map[string]bool{"absent": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			path := shortSocket(t)
			if dead {
				bindDead(t, path)
			}
			h := &onPause{Handler: slog.DiscardHandler}
			h.deed = func() {
				syscall.Unlink(path)
				serve(t, "unix", path, answer("FREE\n"))
			}
			c := mustNew(t, Options{Network: Unix, UnixPath: path, RefusedWait: time.Millisecond, Logger: slog.New(h)})
			if got, err := c.Do(within(t), status()); err != nil || string(got) != "FREE\n" {
				t.Errorf("Do = %q, %v", got, err)
			}
		})
	}
}

// bindDead leaves a socket at path on which nobody listens.
func bindDead(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestUnixAbsentUntilTimeout(t *testing.T) {
	c := mustNew(t, Options{
		Network: Unix, UnixPath: shortSocket(t),
		RefusedWait: time.Millisecond, Timeout: 20 * time.Millisecond,
	})
	_, err := c.Do(within(t), status())
	if !errors.Is(err, ErrNoProgress) || !errors.Is(err, syscall.ENOENT) || errors.Is(err, ErrMaybeSeen) {
		t.Errorf("Do: %v", err)
	}
}

// A full backlog is no failure: its owner takes the next caller soon.
func TestUnixBacklogFull(t *testing.T) {
	path := shortSocket(t)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	fill, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	h := &onPause{Handler: slog.DiscardHandler, deed: func() { acceptTwo(fd) }}
	c := mustNew(t, Options{Network: Unix, UnixPath: path, Logger: slog.New(h)})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "FREE\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

// acceptTwo takes the waiting caller away and answers the next.
func acceptTwo(listener int) {
	first, _, err := syscall.Accept(listener)
	if err != nil {
		return
	}
	syscall.Close(first)
	go func() {
		next, _, err := syscall.Accept(listener)
		if err != nil {
			return
		}
		syscall.Read(next, make([]byte, 100))
		syscall.Write(next, []byte("FREE\n"))
		syscall.Close(next)
	}()
}

// A proxy that dies leaves the request unread, which resets the connection.
func TestUnixReset(t *testing.T) {
	path := shortSocket(t)
	p := serve(t, "unix", path, func(c net.Conn) string {
		io.ReadFull(c, make([]byte, 1))
		return ""
	})
	c := mustNew(t, Options{Network: Unix, UnixPath: path})
	_, err := c.Do(within(t), status())
	if !errors.Is(err, ErrMaybeSeen) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Do: %v", err)
	}
	if n := len(p.requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
