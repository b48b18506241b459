//go:build amd64 || arm64 || riscv64

package proxy

import (
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The filter is put together by numbers: a library with tables of every system
// call of every architecture costs each start of tmcc 0.3 ms.
//
// A run of instructions always ends in a return, so that one never falls into
// the next. Arguments are compared by their low 32 bits, which are all that the
// kernel takes of these.

// Offsets in struct seccomp_data; the low half of an argument comes first.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

const (
	opLoad  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opBits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	opRet   = unix.BPF_RET | unix.BPF_K
)

type code []unix.SockFilter

func ret(action uint32) code { return code{{Code: opRet, K: action}} }

func allow() code                  { return ret(unix.SECCOMP_RET_ALLOW) }
func refuse(errno unix.Errno) code { return ret(unix.SECCOMP_RET_ERRNO | uint32(errno)) }

func load(arg uint32) unix.SockFilter { return unix.SockFilter{Code: opLoad, K: offArgs + 8*arg} }

// when is yes if the argument has one of the values, else EPERM.
func when(arg uint32, yes code, values ...uint32) code {
	c := code{load(arg)}
	for _, v := range values {
		c = append(c, unix.SockFilter{Code: opEqual, K: v, Jf: uint8(len(yes))})
		c = append(c, yes...)
	}
	return append(c, refuse(unix.EPERM)...)
}

// bits is set if any of the bits is set in the argument, else unset.
func bits(arg, mask uint32, set, unset code) code {
	c := code{load(arg), {Code: opBits, K: mask, Jf: uint8(len(set))}}
	return append(append(c, set...), unset...)
}

// A rule decides one system call.
type rule struct {
	nr   uint32
	then code
}

// program tries the rules in order. What no rule names fails with EPERM, calls
// of another architecture too.
func program(rules []rule) code {
	p := code{
		{Code: opLoad, K: offArch},
		{Code: opEqual, K: auditArch, Jt: 1},
		{Code: opRet, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: opLoad, K: offNr},
	}
	for _, r := range rules {
		p = append(p, unix.SockFilter{Code: opEqual, K: r.nr, Jf: uint8(len(r.then))})
		p = append(p, r.then...)
	}
	return append(p, refuse(unix.EPERM)...)
}

// filter installs the allow-list on all threads, and no_new_privs with it.
func filter(proc int) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	p := program(rules(uint32(proc)))
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	tid, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("install filter: %w", errno)
	}
	if tid != 0 {
		return fmt.Errorf("install filter: thread %d has another one", tid)
	}
	return nil
}

// rules are the calls of Go's runtime and of a program that reads, writes,
// accepts, and connects by IP. No file is opened but below proc, for reading;
// no memory becomes executable; no process is made, only threads; no socket but
// of IP.
func rules(proc uint32) []rule {
	var rs []rule
	for _, nr := range slices.Concat(plainCalls(), machineCalls()) {
		rs = append(rs, rule{nr, allow()})
	}
	return append(rs,
		rule{unix.SYS_SOCKET, when(0, allow(), unix.AF_INET, unix.AF_INET6)},
		rule{unix.SYS_IOCTL, when(1, allow(), unix.PIDFD_GET_INFO)},
		rule{unix.SYS_OPENAT, when(0, when(2, allow(), readFlags), proc)},
		rule{unix.SYS_MMAP, bits(2, unix.PROT_EXEC, refuse(unix.EPERM), allow())},
		rule{unix.SYS_MPROTECT, bits(2, unix.PROT_EXEC, refuse(unix.EPERM), allow())},
		rule{unix.SYS_CLONE, bits(0, unix.CLONE_THREAD, allow(), refuse(unix.EPERM))},
		rule{unix.SYS_PRCTL, when(0, allow(), unix.PR_SET_VMA)},
		rule{unix.SYS_CLONE3, refuse(unix.ENOSYS)}, // C libraries fall back to clone on this error only
	)
}

// plainCalls are allowed whatever their arguments: the kernel remembers such
// ones and doesn't run the filter again.
func plainCalls() []uint32 {
	return []uint32{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_CLOSE, unix.SYS_FCNTL,
		unix.SYS_FSTAT, unix.SYS_LSEEK, unix.SYS_DUP, unix.SYS_DUP3,
		unix.SYS_ACCEPT4, unix.SYS_CONNECT, unix.SYS_SHUTDOWN, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_SENDTO, unix.SYS_SENDMSG,
		unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_PPOLL,
		unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_RESTART_SYSCALL,
		unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_TGKILL,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETEUID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_GETRANDOM, unix.SYS_UNAME,
		unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST, unix.SYS_MEMBARRIER,
	}
}
