package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

// What is sent over a shaped link.
const (
	kppsTime       = 3 * time.Second
	kppsOffered    = 200_000 // a second
	senderPriority = 5       // below the delay node's: the sender's lateness is not the link's
)

// within runs f on a thread in the network namespace of a jail: sockets that f
// opens are the jail's.
func (h *host) within(vnode string, f func() error) error {
	r, err := h.record(vnode)
	if err != nil {
		return err
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", r.PID))
	if err != nil {
		return err
	}
	defer ns.Close()
	return network.In(ns, f)
}

// lanAddress is that of the n-th vnode on the LAN.
func lanAddress(n, port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(10, 1, 1, byte(n+1)), Port: port}
}

// datagrams opens a UDP socket in the first jail that sends to one in the second.
func (h *host) datagrams() (from, to *net.UDPConn, err error) {
	err = h.within(h.vnodes[1], func() (err error) {
		to, err = net.ListenUDP("udp4", lanAddress(1, 0))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	target, _ := to.LocalAddr().(*net.UDPAddr)
	err = h.within(h.vnodes[0], func() (err error) {
		from, err = net.DialUDP("udp4", nil, target)
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, to.Close())
	}
	return from, to, nil
}

// sendPaced sends packets that say when they were sent.
func sendPaced(c *net.UDPConn) error {
	defer realTime()()
	for i, began := 0, time.Now(); i < delayPackets; i++ {
		for next := began.Add(time.Duration(i) * time.Second / delayPerSecond); time.Until(next) > 0; {
			if d := time.Until(next); d > 200*time.Microsecond {
				time.Sleep(d - 200*time.Microsecond)
			}
		}
		if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))); err != nil {
			return err
		}
	}
	return nil
}

// arrival is the kernel's time stamp, in ns.
func arrival(oob []byte) (int64, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 || len(msgs[0].Data) < 16 {
		return 0, fmt.Errorf("no time stamp with a packet: %w", err)
	}
	d := msgs[0].Data
	return int64(binary.NativeEndian.Uint64(d))*1e9 + int64(binary.NativeEndian.Uint64(d[8:])), nil
}

// realTime locks the calling goroutine to its thread, with a real-time priority
// where that is allowed, until the function returned is called.
func realTime() func() {
	runtime.LockOSThread()
	set := func(policy int, priority int32) {
		param := struct{ priority int32 }{priority}
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&param)))
	}
	set(unix.SCHED_FIFO|unix.SCHED_RESET_ON_FORK, senderPriority)
	return func() {
		set(unix.SCHED_NORMAL, 0)
		runtime.UnlockOSThread()
	}
}

// flood sends small packets, as many as the rate allows, for some time.
func flood(c *net.UDPConn) (sent int, err error) {
	const batch = 64
	var messages [batch]struct {
		hdr unix.Msghdr
		len uint32
		_   [4]byte
	}
	payload := make([]byte, 60-42)
	iov := unix.Iovec{Base: &payload[0]}
	iov.SetLen(len(payload))
	for i := range messages {
		messages[i].hdr.Iov = &iov
		messages[i].hdr.SetIovlen(1)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	defer realTime()()
	ctlErr := raw.Control(func(fd uintptr) {
		for began := time.Now(); time.Since(began) < kppsTime; {
			if float64(sent) > time.Since(began).Seconds()*kppsOffered {
				continue
			}
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&messages[0])), batch, 0, 0, 0)
			switch errno {
			case 0:
				sent += int(n)
			case unix.EAGAIN, unix.ENOBUFS: // what was sent is still waiting
			default:
				err = fmt.Errorf("send: %w", errno)
				return
			}
		}
	})
	return sent, errors.Join(ctlErr, err)
}
