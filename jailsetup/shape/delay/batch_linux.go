package delay

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many frames one system call takes or gives.
const batchSize = 64

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// batch is the memory of one recvmmsg or sendmmsg. It stays where it is: the
// kernel is given its address.
type batch struct {
	msgs [batchSize]mmsghdr
	iovs [batchSize]unix.Iovec
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.msgs {
		b.msgs[i].hdr.Iov = &b.iovs[i]
		b.msgs[i].hdr.SetIovlen(1)
	}
	return b
}

func (b *batch) set(i int, data []byte) {
	b.iovs[i].Base = unsafe.SliceData(data)
	b.iovs[i].SetLen(len(data))
}

// receiver takes frames in.
type receiver struct {
	*batch
	bufs [batchSize][]byte
	oob  [batchSize][oobSize]byte
}

// oobSize holds one time stamp.
const oobSize = 64

// maxAge bounds how long ago a frame is believed to have come: beyond, somebody
// has set the clock.
const maxAge = 200 * time.Millisecond

func newReceiver() (*receiver, error) {
	memory, err := grow(batchSize * maxFrame)
	if err != nil {
		return nil, fmt.Errorf("get memory for frames: %w", err)
	}
	r := &receiver{batch: newBatch()}
	for i := range r.bufs {
		r.bufs[i] = memory[i*maxFrame:][:maxFrame:maxFrame]
		r.set(i, r.bufs[i])
	}
	return r, nil
}

// receive takes what is there, at most so many; it never waits.
func (r *receiver) receive(fd, most int) (int, error) {
	for i := range most {
		r.msgs[i].hdr.Control = &r.oob[i][0]
		r.msgs[i].hdr.SetControllen(oobSize)
	}
	// The thread's own system call: the runtime needn't know, nobody waits for us.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.msgs[0])), uintptr(most), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// frame is the i-th frame received; false: it was too large, or nothing.
func (r *receiver) frame(i int) ([]byte, bool) {
	m := &r.msgs[i]
	if int(m.len) > maxFrame || m.hdr.Flags&unix.MSG_TRUNC != 0 {
		return nil, false
	}
	return r.bufs[i][:m.len], true
}

// age is how long ago the i-th frame came, by the kernel's stamp; now is the
// clock that it stamps by. Without a stamp it is 0: just now.
func (r *receiver) age(i int, now int64) int64 {
	h := &r.msgs[i].hdr
	if int(h.Controllen) < unix.CmsgLen(int(unsafe.Sizeof(unix.Timespec{}))) {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&r.oob[i][0]))
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SCM_TIMESTAMPNS {
		return 0
	}
	at := (*unix.Timespec)(unsafe.Pointer(&r.oob[i][unix.CmsgLen(0)]))
	if age := now - at.Nano(); age > 0 && age < int64(maxAge) {
		return age
	}
	return 0
}

// send gives n frames of the batch from the first on and says how many were
// taken; the error is the next one's.
func (b *batch) send(fd, first, n int) (int, error) {
	sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[first])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), nil
}

// grow gets memory that the garbage collector doesn't look at.
func grow(bytes int) ([]byte, error) {
	return unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// nothingThere tells the errors by which a socket says that there is no frame.
func nothingThere(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}
