package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tap hears every frame of a LAN on this host, as its bridge sees them: what a
// filter has dropped at a port is not there. While it is open, and up to two
// seconds longer, nothing goes past the bridge. It sends nothing.
type Tap struct {
	file    *os.File
	raw     syscall.RawConn
	runDir  string
	pin     string
	bridge  string
	inode   uint64 // of the namespace
	control []byte

	straight *straight     // the LAN's; nil: not found yet. keepPausing's
	stop     chan struct{} // closed by Close
	stopped  chan error    // what went wrong until then
}

// tapBuffer is what may wait to be read, in bytes.
const tapBuffer = 16 << 20

// OpenTap opens a packet socket on the LAN's bridge, in the experiment's
// namespace. The socket keeps the namespace alive: see [Tap.Gone].
func OpenTap(runDir, experiment, lan string, tag int) (*Tap, error) {
	t := &Tap{runDir: runDir, pin: experimentPin(experiment), bridge: lanBridge(lan, tag), control: make([]byte, 128)}
	ns, err := openPin(runDir, t.pin)
	if err != nil {
		return nil, fmt.Errorf("open namespace of experiment %s: %w", experiment, err)
	}
	defer ns.Close()
	if t.inode, err = inodeOf(ns); err != nil {
		return nil, err
	}
	fd := -1
	err = In(ns, func() (err error) {
		bridge, err := net.InterfaceByName(t.bridge)
		if err != nil {
			return fmt.Errorf("find bridge of LAN %s: %w", lan, err)
		}
		fd, err = packetSocket(bridge.Index)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.file = os.NewFile(uintptr(fd), "tap of "+lan)
	if t.raw, err = t.file.SyscallConn(); err == nil {
		err = t.pause()
	}
	if err != nil {
		t.straight.Close()
		return nil, errors.Join(err, t.file.Close())
	}
	t.stop, t.stopped = make(chan struct{}), make(chan error, 1)
	go func() { t.stopped <- t.keepPausing() }() // until Close, which waits for it
	return t, nil
}

// packetSocket hears the device from now on: until it is bound, no frame of
// another gets in.
func packetSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open packet socket: %w", err)
	}
	member := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("hear device %d: %w", index, err)
	}
	return fd, nil
}

func inodeOf(f *os.File) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st.Ino, err
}

// keepPausing keeps the straight ways of the LAN paused until Close, also while
// nobody reads: what finds no room is then counted. Ports that come later are
// paused with the others.
func (t *Tap) keepPausing() error {
	tick := time.NewTicker(pauseFor / 4)
	defer tick.Stop()
	paused := time.Now()
	var failed error // the first time
	for {
		select {
		case <-t.stop:
			t.straight.Close()
			return failed
		case <-tick.C:
		}
		err := t.pause()
		if late := time.Since(paused); err == nil && t.straight != nil && late > pauseFor {
			err = fmt.Errorf("what jails sent to each other may be missing: the tap was stopped for %v", late.Round(time.Second))
		}
		if failed == nil {
			failed = err
		}
		paused = time.Now()
	}
}

// pause looks for the LAN's straight ways until it has them: to look waits for
// whoever makes or removes links.
func (t *Tap) pause() error {
	if t.straight != nil {
		return t.straight.pauseNow()
	}
	ns, err := openPin(t.runDir, t.pin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // see Gone
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	return withRoutes(ns, func(h *netlink.Handle) error {
		bridge, err := linkByName(h, t.bridge)
		if bridge == nil || err != nil {
			return err
		}
		if t.straight, err = straightOf(h, bridge); t.straight == nil || err != nil {
			return err
		}
		return t.straight.pauseNow()
	})
}

// Read waits for a frame, at most until the deadline; os.ErrDeadlineExceeded
// says that none came. length is the frame's own, also of one that is longer
// than the buffer.
func (t *Tap) Read(buf []byte, deadline time.Time) (n, length int, at time.Time, err error) {
	if err := t.file.SetReadDeadline(deadline); err != nil {
		return 0, 0, at, err
	}
	return t.receive(buf, true)
}

// ReadNow is [Tap.Read] with a deadline that is now: it takes what is there.
func (t *Tap) ReadNow(buf []byte) (n, length int, at time.Time, err error) {
	if err := t.file.SetReadDeadline(time.Time{}); err != nil {
		return 0, 0, at, err
	}
	return t.receive(buf, false)
}

func (t *Tap) receive(buf []byte, wait bool) (n, length int, at time.Time, err error) {
	var got error
	var controlLen int
	err = t.raw.Read(func(fd uintptr) bool {
		length, controlLen, _, _, got = unix.Recvmsg(int(fd), buf, t.control, unix.MSG_TRUNC)
		return !wait || got != unix.EAGAIN && got != unix.EINTR
	})
	if got == unix.EAGAIN && err == nil {
		got = os.ErrDeadlineExceeded
	}
	if err = errors.Join(err, got); err != nil {
		return 0, 0, at, err
	}
	return min(length, len(buf)), length, stamp(t.control[:controlLen]), nil
}

// stamp is the time in a control message, or now.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(ts.Unix())
		}
	}
	return time.Now()
}

// Dropped is how many frames found no room since the last call.
func (t *Tap) Dropped() (int, error) {
	var stats *unix.TpacketStats
	var got error
	err := t.raw.Control(func(fd uintptr) {
		stats, got = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, got); err != nil {
		return 0, err
	}
	return int(stats.Drops), nil
}

// Gone tells whether the experiment's namespace has been removed since: the tap
// alone keeps it, and it will hear nothing any more.
func (t *Tap) Gone() bool {
	ns, err := openPin(t.runDir, t.pin)
	if err != nil {
		return true
	}
	defer ns.Close()
	inode, err := inodeOf(ns)
	return err != nil || inode != t.inode
}

// Close ends the tap. It also says if the tap didn't hear all, since what goes
// straight could not be led here.
func (t *Tap) Close() error {
	close(t.stop)
	return errors.Join(<-t.stopped, t.file.Close())
}
