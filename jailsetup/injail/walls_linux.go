package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wallsMain tries what the jail's root can't do and prints what came of each, a
// line each: a name, a blank, "ok" or the error's name. It is what "jailsetup
// verify" asks. Every attempt is one that changes nothing if it succeeds: a
// name set to what it is, a file opened and not written, a mount in a mount
// namespace that ends with this process.
func wallsMain() int {
	runtime.LockOSThread()
	private := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	say("private-mounts", private)
	if private == nil {
		for _, a := range mountAttempts() {
			say(a.name, a.try())
		}
	}
	for _, a := range wallAttempts() {
		say(a.name, a.try())
	}
	return exitOK
}

type attempt struct {
	name string
	try  func() error
}

func say(name string, err error) {
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Println(name, "ok")
	case errors.As(err, &errno):
		fmt.Println(name, unix.ErrnoName(errno))
	default:
		fmt.Println(name, "empty")
	}
}

// scratch is where an attempt mounts, in the namespace that nobody else sees.
const scratch = "/tmp"

func mountAttempts() []attempt {
	return []attempt{
		{"umount:usr", func() error { return unix.Unmount("/usr", unix.MNT_DETACH) }},
		{"umount:emulab", func() error { return unix.Unmount("/run/emulab", unix.MNT_DETACH) }},
		{"writable:usr", func() error {
			return unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		}},
		{"mount:proc", func() error { return mountFresh("proc") }},
		{"mount:sysfs", func() error { return mountFresh("sysfs") }},
		{"mount:debugfs", func() error { return mountFresh("debugfs") }},
		{"cgroup:limits", func() error {
			if err := unix.Mount("none", scratch, "cgroup2", 0, ""); err != nil {
				return err
			}
			defer unix.Unmount(scratch, unix.MNT_DETACH)
			return opened(scratch+"/cgroup.procs", unix.O_WRONLY)
		}},
		{"mknod", func() error {
			if err := unix.Mount("none", scratch, "tmpfs", 0, ""); err != nil {
				return err
			}
			defer unix.Unmount(scratch, unix.MNT_DETACH)
			return unix.Mknod(scratch+"/mem", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1)))
		}},
	}
}

func mountFresh(kind string) error {
	if err := unix.Mount("none", scratch, kind, 0, ""); err != nil {
		return err
	}
	return unix.Unmount(scratch, unix.MNT_DETACH)
}

func opened(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// shown reads a byte of a file; one without any is masked.
func shown(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, 1)); err != nil {
		return err
	}
	return nil
}

// called makes a system call whose arguments let it do nothing: what matters is
// who refuses it.
func called(nr uintptr, args ...uintptr) error {
	var a [5]uintptr
	copy(a[:], args)
	r, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], 0)
	if errno != 0 {
		return errno
	}
	if r > 2 { // a descriptor
		return unix.Close(int(r))
	}
	return nil
}

func socketOf(domain, kind, proto int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func wallAttempts() []attempt {
	nothing := [...]byte{0}
	at := uintptr(unsafe.Pointer(&nothing))
	nobody := ^uintptr(0) // no descriptor
	return []attempt{
		{"sethostname", sameHostName},
		{"write:usr", func() error { return opened("/usr/bin", unix.O_TMPFILE|unix.O_WRONLY) }},
		{"write:emulab", func() error { return opened("/run/emulab", unix.O_TMPFILE|unix.O_WRONLY) }},
		{"write:injail", func() error { return opened("/run/emulab/bin/injail", unix.O_WRONLY) }},
		{"write:core_pattern", func() error { return opened("/proc/sys/kernel/core_pattern", unix.O_WRONLY) }},
		{"open:mem", func() error { return opened("/dev/mem", unix.O_RDONLY) }},
		{"open:port", func() error { return opened("/dev/port", unix.O_RDONLY) }},
		{"read:kcore", func() error { return shown("/proc/kcore") }},
		{"read:kallsyms", func() error { return shown("/proc/kallsyms") }},
		{"read:keys", func() error { return shown("/proc/keys") }},
		{"clock", sameTick},
		{"swapon", func() error { return called(unix.SYS_SWAPON, at, 0) }},
		{"init_module", func() error { return called(unix.SYS_INIT_MODULE, at, 0, at) }},
		{"delete_module", func() error { return called(unix.SYS_DELETE_MODULE, at, 0) }},
		{"kexec", func() error { return called(unix.SYS_KEXEC_FILE_LOAD, nobody, nobody, 0, at, 0) }},
		{"bpf", func() error { return called(unix.SYS_BPF, 0, at, 0) }},
		{"perf_event_open", func() error { return called(unix.SYS_PERF_EVENT_OPEN, 0, nobody, nobody, nobody, 0) }},
		{"userfaultfd", func() error { return called(unix.SYS_USERFAULTFD, 0) }},
		{"io_uring", func() error { return called(unix.SYS_IO_URING_SETUP, 0, 0) }},
		{"open_by_handle_at", func() error { return called(unix.SYS_OPEN_BY_HANDLE_AT, nobody, 0, 0) }},
		{"syslog", func() error { return called(unix.SYS_SYSLOG, 10, 0, 0) }},
		{"add_key", func() error { return called(unix.SYS_ADD_KEY, 0, 0, 0, 0, 0) }},
		{"keyctl", func() error { return called(unix.SYS_KEYCTL, unix.KEYCTL_READ, 1, 0, 0) }},
		{"socket:vsock", func() error { return socketOf(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},
		{"socket:alg", func() error { return socketOf(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
		{"socket:raw", func() error { return socketOf(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"socket:packet", func() error { return socketOf(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
		{"socket:netfilter", func() error { return socketOf(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER) }},
		{"sysvipc", func() error { return called(unix.SYS_SHMGET, 0x656d756c, 0, 0) }},
		{"nice", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -1) }},
		{"bind:foreign", bindForeign},
	}
}

func sameHostName() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return unix.Sethostname([]byte(name))
}

// sameTick sets the length of the clock's tick to what it is.
func sameTick() error {
	const setTick = 0x4000 // ADJ_TICK
	var now unix.Timex
	if _, err := unix.Adjtimex(&now); err != nil {
		return err
	}
	_, err := unix.Adjtimex(&unix.Timex{Modes: setTick, Tick: now.Tick})
	return err
}

// bindForeign binds to an address that is nobody's (RFC 5737).
func bindForeign() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}})
}
