// Package lazysock has sockets that the poller doesn't know before somebody has to
// wait for them. Package net registers each with it, and tells the scheduler of
// every call: most of what a request costs whose answer comes at once.
//
// A [Socket] begins as a number. [Socket.Now] calls the kernel with it, for what
// never waits. Read, Write, deadlines and the waits of its syscall.RawConn make a
// file of it first, which it stays. [Socket.CloseBy] may be called at any time, by
// anybody: no call is under way then with a number that may be another's already. It
// must be called: nothing else closes a number.
package lazysock

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Socket is a stream socket that doesn't block.
type Socket struct {
	name string

	mu   sync.Mutex
	fd   int // -1 when closed
	file *os.File
}

// New takes over fd, which doesn't block. The name is for errors.
func New(fd int, name string) *Socket { return &Socket{fd: fd, name: name} }

// waiting is the socket as a file.
func (s *Socket) waiting() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil, net.ErrClosed
	}
	if s.file == nil {
		s.file = os.NewFile(uintptr(s.fd), s.name)
	}
	return s.file, nil
}

// CloseBy closes the socket once: by the function, if it has remained a number.
func (s *Socket) CloseBy(number func(fd int) error) error {
	s.mu.Lock()
	fd, file := s.fd, s.file
	s.fd = -1
	s.mu.Unlock()
	switch {
	case fd < 0:
		return net.ErrClosed
	case file != nil:
		return file.Close()
	}
	return number(fd)
}

// CloseNow closes a number without a word to the scheduler: what never waits for
// anybody, such as a socket without SO_LINGER.
func CloseNow(fd int) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// Now calls f at once; the socket isn't closed meanwhile.
func (s *Socket) Now(f func(fd uintptr)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(s.fd))
	return nil
}

// Read is that of net.Conn.
func (s *Socket) Read(p []byte) (int, error) {
	f, err := s.waiting()
	if err != nil {
		return 0, err
	}
	return f.Read(p)
}

// Write is that of net.Conn.
func (s *Socket) Write(p []byte) (int, error) {
	f, err := s.waiting()
	if err != nil {
		return 0, err
	}
	return f.Write(p)
}

// SetDeadline is that of net.Conn.
func (s *Socket) SetDeadline(t time.Time) error { return s.set((*os.File).SetDeadline, t) }

// SetReadDeadline is that of net.Conn.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.set((*os.File).SetReadDeadline, t) }

// SetWriteDeadline is that of net.Conn.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.set((*os.File).SetWriteDeadline, t) }

func (s *Socket) set(deadline func(*os.File, time.Time) error, t time.Time) error {
	f, err := s.waiting()
	if err != nil {
		return err
	}
	return deadline(f, t)
}

// SyscallConn implements syscall.Conn.
func (s *Socket) SyscallConn() (syscall.RawConn, error) { return s.Raw(), nil }

// Raw is the socket as a syscall.RawConn.
func (s *Socket) Raw() syscall.RawConn { return (*raw)(s) }

type raw Socket

// Control is [Socket.Now].
func (r *raw) Control(f func(fd uintptr)) error { return (*Socket)(r).Now(f) }

// Read calls f until it is content, whenever something came.
func (r *raw) Read(f func(fd uintptr) bool) error { return r.wait(syscall.RawConn.Read, f) }

// Write calls f until it is content, whenever there is room.
func (r *raw) Write(f func(fd uintptr) bool) error { return r.wait(syscall.RawConn.Write, f) }

func (r *raw) wait(how func(syscall.RawConn, func(uintptr) bool) error, f func(uintptr) bool) error {
	file, err := (*Socket)(r).waiting()
	if err != nil {
		return err
	}
	c, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return how(c, f)
}
