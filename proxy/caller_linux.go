package proxy

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"emujail/tmcc/client/lazysock"
)

// A door is a jail's listening socket. Package net would register every
// connection with the poller, ask for its address, and tell the scheduler of
// every call: most of what a request costs that never waits for its caller.
type door struct {
	file   *os.File
	raw    syscall.RawConn
	sealed bool // nobody can send descriptors
	closed atomic.Bool
}

// newDoor takes the socket over from ln.
func newDoor(ln *net.UnixListener) (net.Listener, error) {
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &door{file: file, raw: raw, sealed: refuseRights(file)}, nil
}

// Accept waits for the next connection.
func (d *door) Accept() (net.Conn, error) {
	var fd int
	var errno syscall.Errno
	err := d.raw.Read(func(s uintptr) bool {
		fd, errno = acceptNow(s)
		return errno != unix.EAGAIN
	})
	switch {
	case err != nil && d.closed.Load():
		return nil, net.ErrClosed
	case err != nil:
		return nil, err
	case errno != 0:
		return nil, os.NewSyscallError("accept4", errno)
	}
	return &caller{lazysock.New(fd, "caller"), d.sealed}, nil
}

// acceptNow takes a connection that is there. Whoever has the socket too, the
// supervisor, can make it block; that would stop more than this jail.
func acceptNow(s uintptr) (int, syscall.Errno) {
	if flags, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, s, unix.F_GETFL, 0); errno == 0 && flags&unix.O_NONBLOCK == 0 {
		_ = unix.SetNonblock(int(s), true)
	}
	for {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, s, 0, 0, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
		if errno != unix.EINTR && errno != unix.ECONNABORTED {
			return int(fd), errno
		}
	}
}

// Close ends Accept.
func (d *door) Close() error {
	if d.closed.Swap(true) {
		return net.ErrClosed
	}
	return d.file.Close()
}

// Addr implements net.Listener; the path is the supervisor's business.
func (d *door) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// File returns a copy of the socket.
func (d *door) File() (*os.File, error) { return dup(d.raw, "socket") }

// A caller is a connection that came by a door.
type caller struct {
	*lazysock.Socket
	sealed bool
}

// Close closes the connection once. While descriptors may lie in it unread their
// own closes are part of it, and may wait for whom they belong to.
func (c *caller) Close() error {
	if c.sealed {
		return c.CloseBy(lazysock.CloseNow)
	}
	return c.CloseBy(syscall.Close)
}

// LocalAddr and RemoteAddr implement net.Conn: neither side has a name.
func (c *caller) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (c *caller) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }
