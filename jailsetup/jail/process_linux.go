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

// Exit tells how the process behind a pidfd has ended. Ours or not, the kernel
// keeps that for whoever holds the pidfd (linux.md §11).
func Exit(pidfd *os.File) (unix.WaitStatus, error) {
	var info unix.Siginfo
	_ = unix.Waitid(unix.P_PIDFD, int(pidfd.Fd()), &info, unix.WEXITED, nil) // reaps it if it is ours
	var pi unix.PidfdInfo
	pi.Mask = unix.PIDFD_INFO_EXIT
	if err := unix.IoctlPidfdInfo(int(pidfd.Fd()), &pi); err != nil {
		return 0, fmt.Errorf("ask for exit status: %w", err)
	}
	if pi.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return 0, errors.New("no exit status: the process is alive, or not reaped yet")
	}
	return unix.WaitStatus(pi.Exit_code), nil
}

// awaitExit waits until the process has ended; false says that it hasn't by
// then.
func awaitExit(ctx context.Context, pidfd *os.File, most time.Duration) (bool, error) {
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
// SIGINT (linux.md §4, T36).
func Ending(s unix.WaitStatus) (words string, again bool) {
	switch {
	case s.Signaled() && s.Signal() == unix.SIGHUP:
		return "rebooted from inside", true
	case s.Signaled() && s.Signal() == unix.SIGINT:
		return "powered off from inside", false
	case s.Signaled():
		return "killed by " + unix.SignalName(s.Signal()), false
	case s.ExitStatus() == 0:
		return "ended", false
	}
	return fmt.Sprintf("ended with status %d", s.ExitStatus()), false
}
