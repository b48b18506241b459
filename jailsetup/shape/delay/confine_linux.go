package delay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"

	"emujail/proxy/confine"
)

// User is the node's user and group: a number that neither Debian nor systemd
// gives to anybody, and not the proxy's.
const User = 61001

// priority is the node's place among real-time threads: below what the kernel
// and the machine's own daemons take, above everything ordinary.
const priority = 10

// maxFiles is the descriptor limit: two sockets a link.
const maxFiles = 1 << 16

// maxThreads bounds the threads of the node's user.
const maxThreads = 64

// Confine takes the calling thread, to which the caller must be locked, into
// real-time scheduling, and then from the whole process all rights: it becomes
// [User] without groups and capabilities, in an empty root directory, without a
// way to gain anything, and with a few system calls. It must be root. The note
// says what it had to go without.
//
// What needs rights is first.
func Confine() (note string, err error) {
	if err := realTime(); err != nil {
		note = "no real-time priority, delays will be less exact: " + err.Error()
	}
	return note, confine.Process(confine.Options{
		UID: User, GID: User, Name: "delaynode",
		Limits: []confine.Limit{{Resource: unix.RLIMIT_NOFILE, Value: maxFiles}, {Resource: unix.RLIMIT_NPROC, Value: maxThreads}},
		Filter: filter,
	})
}

// realTime takes the calling thread to SCHED_FIFO and to the finest timers. In
// a cgroup without real-time share (RT_GROUP_SCHED) it is refused: then the
// process moves to the root of that hierarchy first.
func realTime() error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	err := setFIFO()
	if errors.Is(err, unix.EPERM) {
		if err := leaveCPUCgroup(); err != nil {
			return err
		}
		err = setFIFO()
	}
	return err
}

func setFIFO() error {
	param := struct{ priority int32 }{priority}
	// SCHED_RESET_ON_FORK: a thread that this one starts is an ordinary one.
	const policy = unix.SCHED_FIFO | unix.SCHED_RESET_ON_FORK
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, policy, uintptr(unsafe.Pointer(&param)))
	if errno != 0 {
		return fmt.Errorf("set SCHED_FIFO: %w", errno)
	}
	return nil
}

// leaveCPUCgroup moves this process to the root of the cpu controller's
// hierarchy.
func leaveCPUCgroup() error {
	pid := []byte(strconv.Itoa(os.Getpid()))
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		v1 := f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",cpu,")
		if v1 || f[2] == "cgroup2" {
			err = errors.Join(err, os.WriteFile(filepath.Join(f[1], "cgroup.procs"), pid, 0))
		}
	}
	return err
}

// filter installs the allow-list on all threads. Other calls fail with EPERM,
// those of another architecture too.
func filter() error {
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy:     seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: allowed()},
	})
}

// allowed are the calls of Go's runtime and of the loop. No file is opened, no
// socket made, none bound or connected, no process started; no memory becomes
// executable.
func allowed() []seccomp.SyscallGroup {
	without := func(arg uint32, bits uint64) seccomp.Condition {
		return seccomp.Condition{Argument: arg, Operation: seccomp.BitsNotSet, Value: bits}
	}
	with := func(name string, c ...seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: c}
	}
	names := []string{
		"recvmmsg", "sendmmsg", "recvmsg", "sendmsg", "accept4", "getsockopt", "epoll_pwait2", "epoll_ctl", "close", "fcntl",
		"write", "read", "futex", "nanosleep", "clock_nanosleep", "clock_gettime", "restart_syscall",
		"munmap", "madvise", "mincore", "brk", "sched_yield", "sched_getaffinity",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill",
		"getpid", "gettid", "exit", "exit_group", "getrandom", "rseq", "set_robust_list", "membarrier",
		"epoll_create1", "epoll_pwait", "eventfd2", "setitimer", "timer_create", "timer_settime", "timer_delete",
	}
	if runtime.GOARCH == "amd64" {
		names = append(names, "arch_prctl")
	}
	return []seccomp.SyscallGroup{
		{
			Action: seccomp.ActionAllow,
			Names:  names,
			NamesWithCondtions: []seccomp.NameWithConditions{
				with("mmap", without(2, unix.PROT_EXEC)),
				with("mprotect", without(2, unix.PROT_EXEC)),
				with("clone", seccomp.Condition{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}),
				with("prctl", seccomp.Condition{Argument: 0, Operation: seccomp.Equal, Value: unix.PR_SET_VMA}),
			},
		},
		{ // C libraries fall back to clone on this error only
			Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS),
			Names:  []string{"clone3"},
		},
	}
}
