package proxy

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxDrain bounds what finish throws away of a caller that goes on sending.
const maxDrain = 1 << 20

// buffers are for requests of usual size; the rare larger one grows its own.
var buffers = sync.Pool{New: func() any { return new([4096]byte) }}

// held reads a stream socket by MSG_PEEK: bytes are copied, and taken out only
// when more come, so that a sender's small pieces don't fill its quota, and
// never the last one.
type held struct {
	raw    syscall.RawConn
	pooled *[4096]byte
	buf    []byte // the request so far; grows to maxRaw+1
	unread int    // how many of its last bytes are in the socket still
	pieces int    // how often bytes came
	eof    bool
	fresh  bool // what first found has not been told by more
}

func hold(conn net.Conn) (held, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return held{}, fmt.Errorf("read from %T: not a socket", conn)
	}
	raw, err := sc.SyscallConn()
	return held{raw: raw}, err
}

// first waits until there is a byte, without a buffer: thousands may wait here.
// What is there then, more has already. patience sets a deadline; it is called
// only if there is need to wait, for a timer costs more than all the rest.
func (h *held) first(patience func() error) error {
	err := h.wait(patience, func(fd uintptr) (bool, error) {
		h.pooled = buffers.Get().(*[4096]byte)
		h.buf = h.pooled[:0]
		done, err := h.look(fd)
		if !done {
			h.release()
		}
		return done, err
	})
	switch {
	case err != nil:
		return err
	case len(h.buf) == 0:
		return errEmpty
	}
	h.fresh = true
	return nil
}

// more waits for bytes that data doesn't have, or for the end.
func (h *held) more(patience func() error) error {
	if h.fresh {
		h.fresh = false
		return nil
	}
	return h.wait(patience, h.look)
}

// glances is how often a caller is looked at before there is a wait for it: who
// has connected is about to write. Some 20 microseconds, in which others have
// their turns, for what costs more: a place with the poller, a timer, two wake-ups.
const glances = 8

// wait does what can be done without waiting, and only then waits.
func (h *held) wait(patience func() error, do func(fd uintptr) (done bool, err error)) error {
	var done bool
	var err error
	for glance := range glances {
		if glance > 0 {
			runtime.Gosched()
		}
		if ctlErr := h.raw.Control(func(fd uintptr) { done, err = do(fd) }); ctlErr != nil {
			return ctlErr
		}
		if done {
			return err
		}
	}
	if err := patience(); err != nil {
		return err
	}
	readErr := h.raw.Read(func(fd uintptr) bool {
		done, err = do(fd)
		return done
	})
	if readErr != nil {
		return readErr
	}
	return err
}

// look does what can be done without waiting.
func (h *held) look(fd uintptr) (done bool, err error) {
	if h.pieces > 1 && h.unread > 1 {
		if err := h.take(fd, h.unread-1); err != nil {
			return true, err
		}
	}
	// The end first: what comes after this question and before the next is then
	// not taken for the last.
	ending := hungUp(fd)
	h.grow()
	known := len(h.buf) - h.unread
	n, err := recv(fd, h.buf[known:cap(h.buf)], unix.MSG_PEEK)
	switch {
	case err == unix.EAGAIN && h.unread == 0:
		return false, nil
	case err != nil:
		return true, err
	case n < h.unread:
		return true, io.ErrUnexpectedEOF // somebody else reads from this socket
	case n > h.unread:
		h.buf, h.unread = h.buf[:known+n], n
		h.pieces++
		h.eof = ending && len(h.buf) < cap(h.buf)
		return true, nil
	}
	h.eof = ending
	return ending, nil
}

// take takes n bytes out of the socket that buf has already.
func (h *held) take(fd uintptr, n int) error {
	got, err := recv(fd, h.buf[len(h.buf)-h.unread:len(h.buf)-h.unread+n], 0)
	if err != nil {
		return err
	}
	h.unread -= got
	return nil
}

// grow makes room for at least one byte more than there is.
func (h *held) grow() {
	if len(h.buf) < cap(h.buf) {
		return
	}
	bigger := make([]byte, len(h.buf), min(4*cap(h.buf), maxRaw+1+cap(h.buf)/8))
	copy(bigger, h.buf)
	h.buf = bigger
}

func (h *held) data() []byte { return h.buf }
func (h *held) ended() bool  { return h.eof }

// finish empties the socket. What was peeked is known to be there; more can come
// only from a caller that hasn't said that it is done.
func (h *held) finish() {
	var scrap [512]byte
	_ = h.raw.Control(func(fd uintptr) {
		for taken := 0; taken < maxDrain && !(h.eof && taken == h.unread); {
			n, err := recv(fd, scrap[:], 0)
			if err != nil || n == 0 {
				return
			}
			taken += n
		}
	})
	h.unread = 0
}

// sendNow writes as much of p as fits into the socket, without waiting.
func sendNow(conn net.Conn, p []byte) (n int) {
	if len(p) == 0 {
		return 0
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		sent, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			n = int(sent) // an error will show again when written with time to wait
		}
	})
	return n
}

func (h *held) release() {
	if h.pooled != nil {
		buffers.Put(h.pooled)
	}
	h.pooled, h.buf = nil, nil
}

// recv reads at least a byte without waiting, and again when a signal came
// between. What doesn't wait needs no word to the scheduler, which would give
// the processor away.
func recv(fd uintptr, p []byte, flags int) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// hungUp reports whether the other side will send nothing more.
func hungUp(fd uintptr) bool {
	return pollNow(fd, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
