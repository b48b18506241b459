package proxy

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"emujail/proxy/confine"
)

// maxFiles is the descriptor limit: a socket a jail, three descriptors a request.
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
// /proc is first, because mounts need rights.
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
	err = confine.Process(confine.Options{
		UID: uid, GID: gid, Name: "tmcc",
		Limits: []confine.Limit{
			{Resource: unix.RLIMIT_NOFILE, Value: maxFiles},
			{Resource: unix.RLIMIT_NPROC, Value: maxThreads},
			{Resource: unix.RLIMIT_MSGQUEUE, Value: 0},
		},
		Filter: func() error { return filter(int(proc.Fd())) },
	})
	if err != nil {
		return nil, errors.Join(err, proc.Close())
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
