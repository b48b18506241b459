package jail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bootID names this boot of the host's kernel.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}

// startTime is when the process started, in clock ticks after the host's boot:
// with the pid it names a process for good.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; the fields begin after it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const startField = 22 - 3 // proc(5); the first field here is its third
	if len(fields) <= startField {
		return 0, fmt.Errorf("/proc/%d/stat: too few fields", pid)
	}
	return strconv.ParseUint(fields[startField], 10, 64)
}

// pin opens a pidfd for the first process of the record, if it is still the
// same process.
func (r Record) pin() (*os.File, error) {
	id, err := bootID()
	if err != nil {
		return nil, err
	}
	if r.PID == 0 || r.BootID != id {
		return nil, os.ErrProcessDone
	}
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("pin process %d: %w", r.PID, err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	// Checked after pinning: a process of that pid that started at that time is
	// the one that was recorded, and stays it.
	if started, err := startTime(r.PID); err != nil || started != r.StartTime {
		return nil, errors.Join(os.ErrProcessDone, f.Close())
	}
	return f, nil
}

// reapTimeout bounds the wait for whoever is the parent to take an ended
// process out of the process table.
const reapTimeout = 2 * time.Second

// Exit tells how the process behind a pidfd has ended. A child of ours is
// waited for, and so leaves the process table. Of another's the kernel keeps
// the status for whoever holds the pidfd, once its parent has reaped it
// (spec/linux.md §11); what it keeps is the main thread's, which a reboot(2) by
// another thread reaches as SIGKILL.
func Exit(pidfd *os.File) (unix.WaitStatus, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PIDFD, int(pidfd.Fd()), &info, unix.WEXITED, nil)
	if err == nil {
		return waitStatus(&info), nil
	}
	if !errors.Is(err, unix.ECHILD) {
		return 0, fmt.Errorf("wait for process: %w", err)
	}
	for deadline := time.Now().Add(reapTimeout); ; time.Sleep(5 * time.Millisecond) {
		pi := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if err := unix.IoctlPidfdInfo(int(pidfd.Fd()), &pi); err != nil {
			return 0, fmt.Errorf("ask for exit status: %w", err)
		}
		if pi.Mask&unix.PIDFD_INFO_EXIT != 0 {
			return unix.WaitStatus(pi.Exit_code), nil
		}
		if time.Now().After(deadline) {
			return 0, errors.New("no exit status: the process is alive, or its parent doesn't reap it")
		}
	}
}

// waitStatus makes of what waitid says the status that wait4 would.
func waitStatus(info *unix.Siginfo) unix.WaitStatus {
	const cldExited, cldDumped = 1, 3 // <asm-generic/siginfo.h>
	// si_status, the third of the fields of SIGCHLD; unix has no name for them.
	status := *(*int32)(unsafe.Add(unsafe.Pointer(info), 24))
	switch info.Code {
	case cldExited:
		return unix.WaitStatus(status << 8)
	case cldDumped:
		return unix.WaitStatus(status | 0x80)
	}
	return unix.WaitStatus(status)
}

// AwaitExit waits until the process has ended; false says that it hasn't by
// then.
func AwaitExit(ctx context.Context, pidfd *os.File, most time.Duration) (bool, error) {
	deadline := time.Now().Add(most)
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		// In slices, so that a cancelled context is noticed.
		n, err := unix.Poll(fds, int(min(left, 100*time.Millisecond).Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for process: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, context.Cause(ctx)
}

// signal sends a signal to the pinned process; one that has ended is no error.
func signal(pidfd *os.File, s unix.Signal) error {
	err := unix.PidfdSendSignal(int(pidfd.Fd()), s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Ending says in words how a first process ended, and whether it asked to be
// started again: reboot(2) inside ends it by SIGHUP, halt and power-off by
// SIGINT (spec/linux.md §4, T36).
func Ending(s unix.WaitStatus) (words string, again bool) {
	switch {
	case s.Signaled() && s.Signal() == unix.SIGHUP:
		return endedReboot, true
	case s.Signaled() && s.Signal() == unix.SIGINT:
		return "powered off from inside", false
	case s.Signaled():
		return "killed by " + unix.SignalName(s.Signal()), false
	case s.ExitStatus() == 0:
		return "ended", false
	}
	return fmt.Sprintf("ended with status %d", s.ExitStatus()), false
}
