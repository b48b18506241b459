package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// infoMask is what is asked of a pidfd. The exit status is asked for because
// only so the kernel answers for a process that has ended already.
const infoMask = unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS | unix.PIDFD_INFO_CGROUPID | unix.PIDFD_INFO_EXIT

// identifyUnix pins the process that connected by a pidfd, so that its number
// can't mean another one, and asks the pidfd for its cgroup: one answer about
// one process, nothing to race with. Kernels before 6.13 lack the question;
// there /proc is read, between two looks that the process is still the same.
func (a *attestor) identifyUnix(conn *net.UnixConn, h home) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, errNobody
	}
	var pidfd int
	var cred *unix.Ucred
	var pidfdErr, credErr error
	err = raw.Control(func(fd uintptr) { // inside, so that fd can't be re-used
		pidfd, pidfdErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		if pidfdErr != nil {
			cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		}
	})
	if err != nil {
		return Peer{}, errNobody
	}
	if pidfdErr == nil {
		defer unix.Close(pidfd)
		peer, err := a.byPidfd(pidfd, h)
		if !errors.Is(err, errUnsupported) {
			return peer, err
		}
		cred, credErr = peerCred(conn)
	}
	if credErr != nil || cred == nil {
		return Peer{}, ifKnown(h, errNobody)
	}
	if errors.Is(pidfdErr, unix.ESRCH) || errors.Is(pidfdErr, unix.EINVAL) {
		return Peer{PID: int(cred.Pid), UID: int(cred.Uid)}, ifKnown(h, errNobody) // ended and reaped
	}
	return a.byProc(cred, h)
}

// errUnsupported: this kernel's pidfds answer no such question.
var errUnsupported = errors.New("PIDFD_GET_INFO is not supported")

func peerCred(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(ctlErr, err)
}

func (a *attestor) byPidfd(pidfd int, h home) (Peer, error) {
	info := unix.PidfdInfo{Mask: infoMask}
	err := unix.IoctlPidfdInfo(pidfd, &info)
	switch {
	case errors.Is(err, unix.ESRCH):
		return Peer{}, ifKnown(h, errNobody)
	case err != nil:
		return Peer{}, errUnsupported
	}
	peer := Peer{PID: int(info.Tgid), UID: int(info.Euid), Comm: a.comm(int(info.Tgid))}
	switch {
	case !h.known():
		return peer, nil
	case info.Mask&unix.PIDFD_INFO_CGROUPID == 0:
		return peer, errNobody
	case h.cgroup != 0 && info.Cgroupid == h.cgroup:
		return peer, nil
	case h.path == "":
		return peer, errStranger
	}
	// Not the jail's own cgroup: perhaps one below it.
	path, err := a.cgroupPath(int(info.Tgid))
	again := unix.PidfdInfo{Mask: infoMask}
	if err != nil || unix.IoctlPidfdInfo(pidfd, &again) != nil || again.Mask&unix.PIDFD_INFO_PID == 0 {
		return peer, errNobody // ended meanwhile: the path may be another process's
	}
	if !h.has(path) {
		return peer, errStranger
	}
	return peer, nil
}

// byProc is for kernels without PIDFD_GET_INFO. The same start time before and
// after says that the number stood for one process all along; that it is the
// one that connected, only a pidfd could say.
func (a *attestor) byProc(cred *unix.Ucred, h home) (Peer, error) {
	a.degraded(errUnsupported)
	pid := int(cred.Pid)
	peer := Peer{PID: pid, UID: int(cred.Uid), Comm: a.comm(pid)}
	if !h.known() {
		return peer, nil
	}
	before, err := a.startTime(pid)
	if err != nil {
		return peer, errNobody
	}
	path, err := a.cgroupPath(pid)
	if err != nil {
		return peer, errNobody
	}
	after, err := a.startTime(pid)
	if err != nil || before != after {
		return peer, errNobody
	}
	if !h.has(path) {
		return peer, errStranger
	}
	return peer, nil
}

// comm is the process's name, at most 15 bytes; empty if nobody can tell.
func (a *attestor) comm(pid int) string {
	var buf [32]byte
	text, err := a.read(pid, "comm", buf[:])
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

// cgroupPath is the process's place in the unified hierarchy.
func (a *attestor) cgroupPath(pid int) (string, error) {
	var buf [4096]byte
	text, err := a.read(pid, "cgroup", buf[:])
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(text) {
		if path, ok := bytes.CutPrefix(line, []byte("0::")); ok && bytes.HasSuffix(path, []byte("\n")) {
			return string(bytes.TrimSuffix(path, []byte("\n"))), nil
		}
	}
	return "", errors.New("no unified cgroup")
}

// startTime is field 22 of stat. The name before it may hold anything, blanks
// and parentheses too, so counting starts behind the last of these.
func (a *attestor) startTime(pid int) (string, error) {
	var buf [1024]byte
	text, err := a.read(pid, "stat", buf[:])
	if err != nil {
		return "", err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const startTime = 22 - 3 // the third field is the first behind the name
	if len(fields) <= startTime {
		return "", errors.New("short stat")
	}
	return string(fields[startTime]), nil
}

func (a *attestor) read(pid int, name string, buf []byte) (text []byte, err error) {
	if a.proc == nil {
		return nil, errors.New("no /proc")
	}
	raw, err := a.proc.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(dir uintptr) { text, err = readAt(int(dir), fmt.Sprintf("%d/%s", pid, name), buf) })
	return text, errors.Join(ctlErr, err)
}

// readFlags are the only ones that the sandbox lets through.
const readFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW

// readAt reads as much of a file as fits into buf.
func readAt(dir int, path string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(dir, path, readFlags, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// refuseRights makes senders of descriptors fail (Linux 6.16; elsewhere nothing
// happens, and a descriptor that comes is closed by the kernel unseen, since
// nobody asks for it). Connections inherit it from the listening socket.
func refuseRights(ln syscall.Conn) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
	})
}
