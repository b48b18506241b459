package server

import (
	"io"
	"net"
	"testing"
	"time"

	"emujail/protocol"
)

// A client that was in time is heard, though the server's machine was too busy to look before the deadline.
func TestLateServerHears(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const request = "VERSION=40 nodeid and more than the first read takes"
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Second)
	if err := c.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	head, err := readHead(c, nil)
	if err != nil || string(head) != request[:firstRead] {
		t.Fatalf("head %q, %v", head, err)
	}
	buf := make([]byte, protocol.MaxRequest)
	n := copy(buf, head)
	if err := c.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	if n, err = readBuffered(c, buf, n); err != nil || string(buf[:n]) != request {
		t.Fatalf("first chunk %q, %v", buf[:n], err)
	}
	if _, err := io.WriteString(client, " rest"); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err = readRest(c, buf, n, -time.Second, time.Now().Add(time.Minute)); err != nil || string(buf[:n]) != request+" rest" {
		t.Fatalf("request %q, %v", buf[:n], err)
	}
}
