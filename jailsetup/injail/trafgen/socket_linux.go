package trafgen

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oNoFollow keeps an open from following a link in the last component.
const oNoFollow = unix.O_NOFOLLOW

// reuse lets an address be bound again while an old connection lingers.
func reuse(_, _ string, c syscall.RawConn) error {
	var err error
	ctl := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	})
	return errors.Join(ctl, err)
}

// setTOS applies an IP TOS value to an open socket; -1 changes nothing.
func setTOS(c syscall.Conn, tos int) error {
	if tos < 0 || c == nil {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var err4, err6 error
	ctl := raw.Control(func(fd uintptr) {
		err4 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, tos)
		err6 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
	})
	if ctl != nil {
		return ctl
	}
	if err4 != nil && err6 != nil { // a socket has one family: one of them must do
		return os.NewSyscallError("setsockopt IP_TOS", err4)
	}
	return nil
}

// maxSegmented bounds a datagram that the kernel cuts into packets: it's an IP
// packet first, of at most 64 segments.
const maxSegmented = 65507

// segmentation is the control message that asks for it.
func segmentation(size int) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], uint16(size))
	return b
}

// joinSegments lets the kernel hand over several packets at once. Kernels
// before 5.0 can't, and need not.
func joinSegments(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
}

// segmentSize reads from control messages how long each packet of a joined
// datagram is, 0 if it is one packet.
func segmentSize(oob []byte) int {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range all {
		if m.Header.Level == unix.IPPROTO_UDP && m.Header.Type == unix.UDP_GRO && len(m.Data) >= 4 {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}

// nap sleeps precisely for a short time. The runtime's timers wake an idle
// process at whole milliseconds only (epoll_wait counts in them), which would
// bundle packets of a fast flow.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil) // a signal ends it early: no harm
}

// abort closes a TCP connection by reset, so that the addresses are free at once.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // closing follows whatever it says
	}
	c.Close()
}
