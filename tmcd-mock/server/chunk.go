package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"emujail/protocol"
)

// firstRead is what the original's first read asks for: the length of the TLS tag, not a byte more.
const firstRead = len(protocol.TLSTag)

// maxFirst is the most that the first chunk can hold (protocol.md §1).
const maxFirst = protocol.MaxRequest - 1

// readHead reads once, at most firstRead bytes, behind those in pushed (at most one, left over from a
// PROXY header). A client that says nothing has io.EOF or a time-out for an error.
func readHead(c net.Conn, pushed []byte) ([]byte, error) {
	buf := make([]byte, firstRead)
	n := copy(buf, pushed)
	m, err := c.Read(buf[n:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		m, err = readLate(c, buf[n:])
	}
	if n+m > 0 {
		return buf[:n+m], nil
	}
	return nil, err
}

// grace is how long readLate waits.
const grace = 5 * time.Millisecond

// readLate reads once more after the deadline. A read whose deadline is over doesn't look at the socket: on
// a machine that was busy for that long, a client that was in time would be taken for one that is silent.
func readLate(c net.Conn, buf []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(grace)); err != nil {
		return 0, err
	}
	return c.Read(buf)
}

// isTag reports whether head begins a TLS session. The original compares only what it has: a first
// segment that is a mere part of the tag counts too, and the handshake then fails.
func isTag(head []byte) bool { return strings.HasPrefix(protocol.TLSTag, string(head)) }

// readBuffered adds to the n bytes at the front of buf what lies in the socket's buffer already, without
// waiting for more. It returns how many bytes there are now.
func readBuffered(c *net.TCPConn, buf []byte, n int) (int, error) {
	// It doesn't wait, so it needs no deadline; one that is over would keep it from looking.
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return n, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return n, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		// One read on a descriptor that doesn't block; EAGAIN says that there is nothing.
		for {
			m, err := syscall.Read(int(fd), buf[n:maxFirst])
			if err == syscall.EINTR {
				continue
			}
			if err != nil && err != syscall.EAGAIN {
				readErr = os.NewSyscallError("read", err)
			}
			n += max(m, 0)
			return true
		}
	})
	return n, errors.Join(err, readErr)
}

// readRest reads on behind the n bytes in buf until the end, until buf is full, or until the client has
// been silent for idle: then what has come is the request, as with the original. The connection's deadline
// is moved, never beyond limit. It returns how many bytes there are now.
func readRest(c net.Conn, buf []byte, n int, idle time.Duration, limit time.Time) (int, error) {
	for n < len(buf) {
		deadline := time.Now().Add(idle)
		if deadline.After(limit) {
			deadline = limit
		}
		if err := c.SetReadDeadline(deadline); err != nil {
			return n, err
		}
		m, err := c.Read(buf[n:])
		if m == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			m, err = readLate(c, buf[n:])
		}
		n += m
		if err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("read the request: %w", err)
		}
	}
	return n, nil
}
