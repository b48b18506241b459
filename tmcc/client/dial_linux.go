package client

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"emujail/tmcc/client/lazysock"
)

// A tcpConn is a TCP connection without what net.Dialer adds: a proxy makes one
// for each request, and a third of its time was the ten system calls and two
// wake-ups of Dial. Its calls never block, so the scheduler isn't told of them:
// it would wake a thread to look after the processor. The command tmcc starts
// faster by it, too: a page of the program that isn't used isn't loaded.
type tcpConn struct {
	*lazysock.Socket
	remote netip.AddrPort
}

// dialTCP connects to addr.
func dialTCP(ctx context.Context, addr netip.AddrPort, how manner) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	to, family := sockaddr(addr)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	conn := &tcpConn{lazysock.New(fd, "tcp"), addr}
	// The first bytes follow at once and say that the connection stands: without
	// this the kernel says so before, in a segment of its own, which wakes the
	// server for nothing.
	err = set(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0)
	if err == nil && how.eager {
		err = set(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil && how.keepAlive {
		err = keepAlive(fd)
	}
	if err == nil {
		err = conn.connect(ctx, fd, &to, how.limit)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect asks twice, for the first call never says how it went: where the
// answer came at once, on the same host, there is nothing to wait for.
func (c *tcpConn) connect(ctx context.Context, fd int, to *target, limit time.Duration) error {
	_ = to.connect(fd)
	err := to.connect(fd)
	if pending(err) {
		err = c.await(ctx, to, limit)
	}
	if err == syscall.EISCONN {
		return nil
	}
	return err
}

func pending(err error) bool {
	return err == syscall.EALREADY || err == syscall.EINPROGRESS || err == syscall.EINTR
}

// await waits for the answer of who was asked.
func (c *tcpConn) await(ctx context.Context, to *target, limit time.Duration) error {
	if limit > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Unix(1, 0)) })
	var result error
	err := c.Raw().Write(func(fd uintptr) bool {
		result = to.connect(int(fd))
		return !pending(result)
	})
	if !stop() {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if limit > 0 {
		err = c.SetWriteDeadline(time.Time{})
	}
	return errors.Join(result, err)
}

// A target is an address as connect(2) takes it.
type target struct {
	raw  syscall.RawSockaddrInet6
	size uintptr
}

// connect asks the kernel without telling the scheduler: on a socket that
// doesn't block this is short, and on one processor the scheduler gives it to
// another thread meanwhile, which costs more than all the rest.
func (t *target) connect(fd int) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&t.raw)), t.size)
	if errno != 0 {
		return errno
	}
	return nil
}

// send is sendto(2) in the same way, of at least one byte.
func send(fd int, p []byte, flags int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func sockaddr(a netip.AddrPort) (t target, family int) {
	port := a.Port()>>8 | a.Port()<<8
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		port = a.Port()
	}
	if a.Addr().Is4() {
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&t.raw))
		in.Family, in.Port, in.Addr = syscall.AF_INET, port, a.Addr().As4()
		t.size = syscall.SizeofSockaddrInet4
		return t, syscall.AF_INET
	}
	t.raw = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Port: port, Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			t.raw.Scope_id = uint32(i.Index)
		}
	}
	t.size = syscall.SizeofSockaddrInet6
	return t, syscall.AF_INET6
}

// keepAlive makes the kernel find out within three minutes that a peer which owes
// an answer is gone, as net.Dialer does.
func keepAlive(fd int) error {
	return errors.Join(
		set(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1),
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15),
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15),
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9),
	)
}

func set(fd, level, option, value int) error {
	v := int32(value)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	if errno != 0 {
		return os.NewSyscallError("setsockopt", errno)
	}
	return nil
}

func shutdown(fd uintptr) error {
	if _, _, errno := syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, syscall.SHUT_WR, 0); errno != 0 {
		return errno
	}
	return nil
}

// Close implements net.Conn. What it says to a peer never waits: there is no
// SO_LINGER.
func (c *tcpConn) Close() error { return c.CloseBy(lazysock.CloseNow) }

// Read implements net.Conn.
func (c *tcpConn) Read(p []byte) (n int, err error) {
	if n, err = c.readNow(p); err != syscall.EAGAIN {
		return n, err
	}
	ctlErr := c.Raw().Read(func(fd uintptr) bool {
		n, err = receive(fd, p)
		return err != syscall.EAGAIN
	})
	if ctlErr != nil {
		return 0, ctlErr
	}
	return n, err
}

// readNow is Read of what is here already; syscall.EAGAIN: nothing.
func (c *tcpConn) readNow(p []byte) (n int, err error) {
	if closed := c.Now(func(fd uintptr) { n, err = receive(fd, p) }); closed != nil {
		return 0, closed
	}
	return n, err
}

// comes looks again and again, for d at most, whether there is something to read.
// It looks by poll(2): recv(2) would take an error out, and who reads next would
// see a clean end.
func comes(conn net.Conn, d time.Duration) (found bool) {
	c, ok := conn.(*tcpConn)
	if !ok {
		return false
	}
	end := time.Now().Add(d)
	_ = c.Now(func(fd uintptr) {
		p := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		var none unix.Timespec
		for !found && time.Now().Before(end) {
			n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
			found = errno == 0 && n > 0
		}
	})
	return found
}

func receive(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Write implements net.Conn.
func (c *tcpConn) Write(p []byte) (int, error) { return c.write(p, syscall.MSG_NOSIGNAL) }

func (c *tcpConn) write(p []byte, flags int) (n int, err error) {
	var result error
	some := func(fd uintptr) bool {
		for n < len(p) {
			var sent int
			sent, result = send(int(fd), p[n:], flags)
			if result == syscall.EAGAIN {
				return false
			}
			if result != nil && result != syscall.EINTR {
				return true
			}
			n += sent
		}
		return true
	}
	done := false
	if err = c.Now(func(fd uintptr) { done = some(fd) }); err == nil && !done {
		err = c.Raw().Write(some)
	}
	if n == len(p) {
		return n, err
	}
	return n, errors.Join(err, result)
}

// CloseWrite says that nothing more will be sent.
func (c *tcpConn) CloseWrite() error {
	var result error
	err := c.Now(func(fd uintptr) { result = shutdown(fd) })
	return errors.Join(err, result)
}

// writeLast is Write and CloseWrite: the end goes in the last segment, where
// there is room, and so wakes the other side once.
func (c *tcpConn) writeLast(p []byte) error {
	if _, err := c.write(p, syscall.MSG_MORE|syscall.MSG_NOSIGNAL); err != nil {
		return err
	}
	_ = c.CloseWrite() // an error here means that the peer is gone; reading will tell more
	return nil
}

// LocalAddr implements net.Conn; nil: unknown.
func (c *tcpConn) LocalAddr() net.Addr {
	var at syscall.Sockaddr
	var err error
	ctlErr := c.Now(func(fd uintptr) { at, err = syscall.Getsockname(int(fd)) })
	if errors.Join(ctlErr, err) != nil {
		return nil
	}
	switch at := at.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: at.Addr[:], Port: at.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: at.Addr[:], Port: at.Port, Zone: c.remote.Addr().Zone()}
	}
	return nil
}

// RemoteAddr implements net.Conn.
func (c *tcpConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }
