package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKeepAlive: who waits without a time-out hears of it when the other side is
// gone without a word.
func TestKeepAlive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for timeout, want := range map[time.Duration]string{0: "1 15 15 9", time.Minute: "0"} {
		c := &Client{opts: Options{Network: TCP, Timeout: timeout}}
		conn, err := c.dial(t.Context(), TCP, "", netip.MustParseAddrPort(ln.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var got string
		conn.(*tcpConn).Now(func(fd uintptr) {
			option := func(level, name int) int { v, _ := unix.GetsockoptInt(int(fd), level, name); return v }
			got = fmt.Sprint(option(unix.SOL_SOCKET, unix.SO_KEEPALIVE))
			if got == "1" {
				got = fmt.Sprint(got, " ", option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), " ",
					option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), " ", option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT))
			}
		})
		if got != want {
			t.Errorf("time-out %v: keep-alive %s, want %s", timeout, got, want)
		}
	}
}

// TestSpin: who looked for an answer in vain doesn't look at the next ones.
func TestSpin(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked := 0
	c := &Client{opts: Options{Network: TCP, Spin: func() time.Duration { asked++; return time.Millisecond }}}
	conn, err := c.dial(t.Context(), TCP, "", netip.MustParseAddrPort(ln.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range spinPause + 2 {
		c.spin(conn)
	}
	if asked != 2 {
		t.Errorf("looked %d times of %d in vain, want 2", asked, spinPause+2)
	}
	tmcd, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tmcd.Write([]byte("answer"))
	if !comes(conn, time.Minute) {
		t.Error("an answer isn't seen")
	}
	buf := make([]byte, 10)
	if n, err := conn.Read(buf); string(buf[:n]) != "answer" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	tmcd.(*net.TCPConn).SetLinger(0) // a reset
	tmcd.Close()
	if !comes(conn, time.Minute) {
		t.Error("an end isn't seen")
	}
	if _, err := conn.Read(buf); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset reads as %v", err)
	}
}
