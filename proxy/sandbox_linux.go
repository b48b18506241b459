package proxy

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFiles is the descriptor limit: a socket a jail, two descriptors a request.
const maxFiles = 1 << 17

// maxThreads bounds the threads of the proxy's user.
const maxThreads = 512

// User is the user and group of a confined proxy if nothing else is said: a
// number that neither Debian nor systemd gives to anybody, so that the proxy
// shares it with no other process.
const User = 61000

// Confine takes from this process, for good, all rights that a proxy doesn't
// need: it becomes the given user without groups and capabilities, in a root
// directory that is empty and can't be filled, with no way to gain anything
// (no_new_privs), and with the system calls of allowed only. It must be root.
//
// What is left of the file system is the directory it returns: /proc, mounted
// for this descriptor alone, read-only, processes only. It leads nowhere else,
// and whatever in it needs rights (exe, root, fd, environ) is out of reach.
//
// The order is the security: mounts and root directory need rights, the limits
// must be set before they can't, and the filter is last because it forbids the
// calls before it.
func Confine(uid, gid int) (proc *os.File, err error) {
	if uid <= 0 || gid <= 0 {
		return nil, fmt.Errorf("confine to user %d, group %d: want others than root", uid, gid)
	}
	runtime.LockOSThread() // no_new_privs and filter begin at this thread
	defer runtime.UnlockOSThread()

	proc, err = detachedProc()
	if err != nil {
		return nil, fmt.Errorf("confine: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"limits", setLimits},
		{"empty root", enterEmptyRoot},
		{"capability bounding set", dropBoundingSet},
		{"groups", func() error { return syscall.Setgroups(nil) }},
		{"group", func() error { return syscall.Setresgid(gid, gid, gid) }},
		{"user", func() error { return syscall.Setresuid(uid, uid, uid) }},
		{"dumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
		{"system calls", func() error { return filter(int(proc.Fd())) }},
	} {
		if err := step.do(); err != nil {
			return nil, errors.Join(fmt.Errorf("confine: %s: %w", step.name, err), proc.Close())
		}
	}
	return proc, nil
}

// Bare reports whether this process has no capability, so that there is nothing
// for Confine to take: a service manager has. When it can't tell, it hasn't.
func Bare() bool {
	var sets [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0])
	return err == nil && sets[0].Permitted|sets[1].Permitted == 0
}

// detachedProc mounts /proc without a place in the file system: ".." ends there.
func detachedProc() (*os.File, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open file system proc: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "subset", "pid"); err != nil {
		return nil, fmt.Errorf("proc of processes only: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("make proc: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, fmt.Errorf("mount proc: %w", err)
	}
	return os.NewFile(uintptr(fd), "proc"), nil
}

func setLimits() error {
	for _, l := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_NOFILE, maxFiles},
		{unix.RLIMIT_NPROC, maxThreads},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_MEMLOCK, 0},
		{unix.RLIMIT_MSGQUEUE, 0},
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("resource %d: %w", l.resource, err)
		}
		value := min(l.value, now.Max) // root itself may lack the right to raise it
		if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("resource %d: %w", l.resource, err)
		}
	}
	return nil
}

// enterEmptyRoot makes a directory the root and removes it: nothing can be made
// in a directory that is gone.
func enterEmptyRoot() error {
	dir, err := os.MkdirTemp("", "tmcc-root-")
	if err != nil {
		return err
	}
	outside, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	defer unix.Close(outside)
	if err := errors.Join(syscall.Chroot(dir), syscall.Chdir("/")); err != nil {
		return err
	}
	return unix.Unlinkat(outside, dir[1:], unix.AT_REMOVEDIR)
}

// dropBoundingSet drops all on all threads. Where threads may be C's the
// runtime refuses (ENOTSUP), and the set stays: of no use without a way to gain
// privileges.
func dropBoundingSet() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		switch errno {
		case 0:
		case syscall.EINVAL: // this kernel has fewer
			return nil
		case syscall.ENOTSUP:
			return nil
		default:
			return errno
		}
	}
	return nil
}
