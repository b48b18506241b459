package proxy

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"emujail/tmcc/client/lazysock"
)

// infoMask is what is asked of a pidfd. The exit status is asked for because
// only so the kernel answers for a process that has ended already.
const infoMask = unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS | unix.PIDFD_INFO_CGROUPID | unix.PIDFD_INFO_EXIT

// identifyUnix pins the process that connected by a pidfd, so that its number
// can't mean another one, and asks the pidfd for its cgroup: one answer about
// one process, nothing to race with. Kernels before 6.13 lack the question;
// there /proc is read, between two looks that the process is still the same.
func (a *attestor) identifyUnix(conn syscall.Conn, h home) (witness, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return witness{}, errNobody
	}
	var w witness
	var pidfdErr error
	err = raw.Control(func(fd uintptr) { // inside, so that fd can't be re-used
		w.pidfd, pidfdErr = getNow(fd, unix.SO_PEERPIDFD)
	})
	if err != nil {
		return witness{}, errNobody
	}
	if pidfdErr == nil {
		err := a.byPidfd(&w, h)
		if !errors.Is(err, errUnsupported) {
			return w, err
		}
		_ = lazysock.CloseNow(w.pidfd)
	}
	cred, credErr := peerCred(raw)
	if credErr != nil {
		return witness{}, ifKnown(h, errNobody)
	}
	if errors.Is(pidfdErr, unix.ESRCH) || errors.Is(pidfdErr, unix.EINVAL) {
		peer := Peer{PID: int(cred.Pid), UID: int(cred.Uid)}
		return witness{Peer: peer}, ifKnown(h, errNobody) // ended and reaped
	}
	peer, err := a.byProc(cred, h)
	return witness{Peer: peer}, err
}

// mayCommand tells whether the other end may be a supervisor. One that nobody
// could tell anything about has PID 0.
func mayCommand(p Peer) bool {
	return p.PID != 0 && (p.UID == 0 || p.UID == os.Geteuid())
}

// errUnsupported: this kernel's pidfds answer no such question.
var errUnsupported = errors.New("PIDFD_GET_INFO is not supported")

func peerCred(raw syscall.RawConn) (cred *unix.Ucred, err error) {
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(ctlErr, err)
}

func (a *attestor) byPidfd(w *witness, h home) error {
	info := unix.PidfdInfo{Mask: infoMask}
	err := askNow(w.pidfd, &info)
	switch {
	case errors.Is(err, unix.ESRCH):
		return ifKnown(h, errNobody)
	case err != nil:
		return errUnsupported
	}
	w.PID, w.UID = int(info.Tgid), int(info.Euid)
	switch {
	case !h.known():
		return nil
	case info.Mask&unix.PIDFD_INFO_CGROUPID == 0:
		return errNobody
	case h.cgroup != 0 && info.Cgroupid == h.cgroup:
		return nil
	case h.path == "":
		return errStranger
	}
	// Not the jail's own cgroup: perhaps one below it.
	path, err := a.cgroupPath(w.PID)
	if err != nil || !alive(w.pidfd) {
		return errNobody // ended meanwhile: the path may be another process's
	}
	if !h.has(path) {
		return errStranger
	}
	return nil
}

// alive reports whether the process's number is still its own.
func alive(pidfd int) bool {
	again := unix.PidfdInfo{Mask: infoMask}
	return askNow(pidfd, &again) == nil && again.Mask&unix.PIDFD_INFO_PID != 0
}

// release asks for the process's name, once, and lets go of it. One that has
// ended meanwhile has none: its number may be another's.
func (a *attestor) release(w *witness) {
	if w.pidfd == 0 {
		return
	}
	if w.PID != 0 {
		w.Comm = a.comm(w.PID)
	}
	if w.Comm != "" && !alive(w.pidfd) {
		w.Comm = ""
	}
	_ = lazysock.CloseNow(w.pidfd)
	w.pidfd = 0
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
	text, err := a.read(pid, "comm", buf[:], readFileNow)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}

// cgroupPath is the process's place in the unified hierarchy.
func (a *attestor) cgroupPath(pid int) (string, error) {
	var buf [4096]byte
	text, err := a.read(pid, "cgroup", buf[:], readFile)
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
	text, err := a.read(pid, "stat", buf[:], readFileNow)
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

// A fileReader is [readFile] or [readFileNow].
type fileReader func(dir uintptr, path string, buf []byte) ([]byte, error)

func (a *attestor) read(pid int, name string, buf []byte, how fileReader) (text []byte, err error) {
	if a.proc == nil {
		return nil, errors.New("no /proc")
	}
	raw, err := a.proc.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(dir uintptr) { text, err = how(dir, strconv.Itoa(pid)+"/"+name, buf) })
	return text, errors.Join(ctlErr, err)
}

// readFlags are the only ones that the sandbox lets through.
const readFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW

// refuseRights makes senders of descriptors fail (Linux 6.16; elsewhere nothing
// happens, and a descriptor that comes is closed by the kernel unseen, since
// nobody asks for it). Connections inherit it from the listening socket.
// It reports whether they do.
func refuseRights(ln syscall.Conn) bool {
	raw, err := ln.SyscallConn()
	if err != nil {
		return false
	}
	ctlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
	})
	return errors.Join(ctlErr, err) == nil
}
