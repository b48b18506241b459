package proxy

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
	return &caller{fd: fd, sealed: d.sealed}, nil
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

// A caller is a connection that came by a door. It becomes a file that the
// poller knows when somebody has to wait for it.
type caller struct {
	sealed bool

	mu   sync.Mutex
	fd   int // -1 when closed
	file *os.File
}

// waiting is the caller as a file.
func (c *caller) waiting() (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil, net.ErrClosed
	}
	if c.file == nil {
		c.file = os.NewFile(uintptr(c.fd), "caller")
	}
	return c.file, nil
}

// Close closes the connection once. While descriptors may lie in it unread their
// own closes are part of it, and may wait for whom they belong to.
func (c *caller) Close() error {
	c.mu.Lock()
	fd, file := c.fd, c.file
	c.fd = -1
	c.mu.Unlock()
	switch {
	case fd < 0:
		return net.ErrClosed
	case file != nil:
		return file.Close()
	case !c.sealed:
		return syscall.Close(fd)
	}
	return closeNow(fd)
}

// Read implements net.Conn.
func (c *caller) Read(p []byte) (int, error) {
	f, err := c.waiting()
	if err != nil {
		return 0, err
	}
	return f.Read(p)
}

// Write implements net.Conn.
func (c *caller) Write(p []byte) (int, error) {
	f, err := c.waiting()
	if err != nil {
		return 0, err
	}
	return f.Write(p)
}

// LocalAddr and RemoteAddr implement net.Conn: neither side has a name.
func (c *caller) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (c *caller) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// SetDeadline implements net.Conn.
func (c *caller) SetDeadline(t time.Time) error { return c.set((*os.File).SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *caller) SetReadDeadline(t time.Time) error { return c.set((*os.File).SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *caller) SetWriteDeadline(t time.Time) error { return c.set((*os.File).SetWriteDeadline, t) }

func (c *caller) set(deadline func(*os.File, time.Time) error, t time.Time) error {
	f, err := c.waiting()
	if err != nil {
		return err
	}
	return deadline(f, t)
}

// SyscallConn implements syscall.Conn.
func (c *caller) SyscallConn() (syscall.RawConn, error) { return (*rawCaller)(c), nil }

// A rawCaller is a caller as a syscall.RawConn.
type rawCaller caller

// Control calls f at once; the connection isn't closed meanwhile.
func (c *rawCaller) Control(f func(fd uintptr)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(c.fd))
	return nil
}

// Read calls f until it is content, whenever something came.
func (c *rawCaller) Read(f func(fd uintptr) bool) error {
	return c.wait(syscall.RawConn.Read, f)
}

// Write calls f until it is content, whenever there is room.
func (c *rawCaller) Write(f func(fd uintptr) bool) error {
	return c.wait(syscall.RawConn.Write, f)
}

func (c *rawCaller) wait(how func(syscall.RawConn, func(uintptr) bool) error, f func(uintptr) bool) error {
	file, err := (*caller)(c).waiting()
	if err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return how(raw, f)
}
