package proxy

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"emujail/tmcc/client/lazysock"
)

// Calls that never wait, made without a word to the scheduler: told of one, it
// wakes its watchman, a thread, to look after a processor that might be blocked.
// With one request at a time that costs as much as all the rest.

// getNow is getsockopt(2) of a number at level SOL_SOCKET.
func getNow(fd uintptr, option int) (int, error) {
	var value int32
	size := uint32(unsafe.Sizeof(value))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, uintptr(option), uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	return int(value), asError(errno)
}

// askNow asks a pidfd for what info.Mask says.
func askNow(pidfd int, info *unix.PidfdInfo) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(pidfd), unix.PIDFD_GET_INFO, uintptr(unsafe.Pointer(info)))
	return asError(errno)
}

// readFileNow reads as much of a file of procfs as fits into buf.
func readFileNow(dir uintptr, path string, buf []byte) ([]byte, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, dir, uintptr(unsafe.Pointer(name)), readFlags, 0, 0, 0)
	runtime.KeepAlive(name)
	if errno != 0 {
		return nil, errno
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	_ = lazysock.CloseNow(int(fd))
	if errno != 0 {
		return nil, errno
	}
	return buf[:n], nil
}

// readFile is readFileNow of a file that the kernel may wait for: one about
// cgroups waits for whoever changes any, for milliseconds (docs/spec/linux.md §7),
// and the scheduler is told.
func readFile(dir uintptr, path string, buf []byte) ([]byte, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	fd, _, errno := syscall.Syscall6(unix.SYS_OPENAT, dir, uintptr(unsafe.Pointer(name)), readFlags, 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	n, _, errno := syscall.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	_ = lazysock.CloseNow(int(fd))
	if errno != 0 {
		return nil, errno
	}
	return buf[:n], nil
}

// pollNow asks what has happened at fd.
func pollNow(fd uintptr, events int16) int16 {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	var none unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
	if errno != 0 || n == 0 {
		return 0
	}
	return p.Revents
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
