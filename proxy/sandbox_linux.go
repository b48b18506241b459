package proxy

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
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

// filter installs the allow-list on all threads. Other calls fail with EPERM,
// those of another architecture too.
func filter(proc int) error {
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls:      allowed(uint64(proc)),
		},
	})
}

// allowed are the calls of Go's runtime and of a program that reads, writes,
// accepts, and connects by IP. No file is opened but below proc, for reading;
// no memory becomes executable; no process is made, only threads; no socket but
// of IP.
func allowed(proc uint64) []seccomp.SyscallGroup {
	is := func(arg uint32, v uint64) seccomp.Condition {
		return seccomp.Condition{Argument: arg, Operation: seccomp.Equal, Value: v}
	}
	without := func(arg uint32, bits uint64) seccomp.Condition {
		return seccomp.Condition{Argument: arg, Operation: seccomp.BitsNotSet, Value: bits}
	}
	with := func(name string, c ...seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: c}
	}
	return []seccomp.SyscallGroup{
		{
			Action: seccomp.ActionAllow,
			Names: append([]string{
				"read", "write", "readv", "writev", "pread64", "close", "fcntl", "fstat", "lseek", "dup", "dup3",
				"accept4", "connect", "shutdown", "recvfrom", "recvmsg", "sendto", "sendmsg",
				"getsockname", "getpeername", "getsockopt", "setsockopt",
				"epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "pipe2", "ppoll",
				"futex", "nanosleep", "clock_nanosleep", "clock_gettime", "restart_syscall",
				"munmap", "madvise", "mincore", "brk", "sched_yield", "sched_getaffinity",
				"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill",
				"getpid", "gettid", "geteuid", "exit", "exit_group", "getrandom", "uname",
				"rseq", "set_robust_list", "membarrier",
			}, archCalls()...),
			NamesWithCondtions: []seccomp.NameWithConditions{
				with("mmap", without(2, unix.PROT_EXEC)),
				with("mprotect", without(2, unix.PROT_EXEC)),
				with("clone", seccomp.Condition{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}),
				with("socket", is(0, unix.AF_INET)),
				with("socket", is(0, unix.AF_INET6)),
				with("ioctl", is(1, unix.PIDFD_GET_INFO)),
				with("prctl", is(0, unix.PR_SET_VMA)),
				with("openat", is(0, proc), is(2, readFlags)),
			},
		},
		{ // C libraries fall back to clone on this error only
			Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS),
			Names:  []string{"clone3"},
		},
	}
}

// archCalls are old calls that only some architectures have.
func archCalls() []string {
	if runtime.GOARCH == "amd64" {
		return []string{"poll", "epoll_wait", "pipe", "arch_prctl"}
	}
	return nil
}
