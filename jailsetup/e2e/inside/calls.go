//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tryCalls makes each call once, or those named, and says what came of it, a
// line each: its name, a blank, "ok" or the error's name.
func tryCalls(names []string) error {
	runtime.LockOSThread() // what one gets away with is this thread's alone
	for _, c := range calls() {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		fmt.Printf("%s %s\n", c.name, outcome(c.do()))
	}
	return nil
}

func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

type call struct {
	name string
	do   func() error
}

// raw makes a system call with up to four numbers. A descriptor that it returns
// stays open: a number may as well be something else, which must not be closed.
func raw(nr uintptr, args ...uintptr) func() error {
	return func() error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

func newSocket(domain, kind, proto int) func() error {
	return func() error {
		fd, err := unix.Socket(domain, kind, proto)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func open(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags, 0o644)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
}

// write opens for writing and writes.
func write(path, text string) func() error {
	return func() error {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_TRUNC, 0)
		if err != nil {
			return err
		}
		_, err = unix.Write(fd, []byte(text))
		unix.Close(fd)
		return err
	}
}

// bytes says "empty" of a file that is masked.
func bytesOf(path string) func() error {
	return func() error {
		data, err := os.ReadFile(path)
		if err == nil && len(data) == 0 {
			return errors.New("empty")
		}
		return err
	}
}

func calls() []call {
	// Memory that nothing else gets, however long the numbers below are kept: the
	// kernel reads and writes there by address.
	const page = 4096
	buf, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return []call{{"mmap", func() error { return err }}}
	}
	at := uintptr(unsafe.Pointer(&buf[0]))
	words := buf[page:]
	word := func(s string) uintptr {
		p := uintptr(unsafe.Pointer(&words[0]))
		words = words[copy(words, s)+1:] // zeros follow
		return p
	}
	list := []call{
		{"sethostname", func() error { return unix.Sethostname([]byte("mallory")) }},
		{"setdomainname", func() error { return unix.Setdomainname([]byte("mallory")) }},
		{"write:kernel/hostname", write("/proc/sys/kernel/hostname", "mallory")},
		{"write:kernel/core_pattern", write("/proc/sys/kernel/core_pattern", "|/bin/sh")},
		{"write:sysrq-trigger", write("/proc/sysrq-trigger", "h")},
		{"write:vm/overcommit", write("/proc/sys/vm/overcommit_memory", "1")},
		{"write:usr/bin/true", write("/usr/bin/true", "x")},
		{"write:bin/sh", write("/bin/sh", "x")},
		{"create:usr", open("/usr/bin/mallory", unix.O_CREAT|unix.O_WRONLY)},
		{"chmod:usr/bin/true", func() error { return unix.Chmod("/usr/bin/true", 0o4755) }},
		{"link:usr/bin/true", func() error { return unix.Link("/usr/bin/true", "/root/true") }},
		{"remount:usr", func() error { return unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"setattr:usr", func() error {
			return unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		}},
		{"setattr:usr-nodev", func() error {
			return unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV})
		}},
		{"bind:usr-then-write", bindThenWrite},
		{"write:injail", write("/run/emulab/bin/injail", "x")},
		{"write:tmcc-socket-dir", open("/run/emulab/mallory", unix.O_CREAT|unix.O_WRONLY)},
		{"unlink:tmcc", func() error { return unix.Unlink("/run/emulab/tmcc") }},
		{"write:exe", write("/proc/1/exe", "x")},
		{"write:jail.conf", write("/run/emulab/jail.conf", "x")},
		{"mknod:mem", func() error { return unix.Mknod("/root/mem", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))) }},
		{"mknod:loop", func() error { return unix.Mknod("/root/loop", unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))) }},
		{"mknod:own-tmpfs", mknodOnTmpfs},
		{"tmpfs:mount-and-unmount", ownTmpfs},
		{"open:mem", open("/dev/mem", unix.O_RDONLY)},
		{"open:kmem", open("/dev/kmem", unix.O_RDONLY)},
		{"open:port", open("/dev/port", unix.O_RDONLY)},
		{"read:kcore", bytesOf("/proc/kcore")},
		{"read:keys", bytesOf("/proc/keys")},
		{"read:kmsg", bytesOf("/proc/kmsg")},
		{"read:kallsyms", bytesOf("/proc/kallsyms")},
		{"settimeofday", func() error { return unix.Settimeofday(&unix.Timeval{Sec: 1}) }},
		{"clock_settime", raw(unix.SYS_CLOCK_SETTIME, 0, at)},
		{"adjtimex", func() error { _, err := unix.Adjtimex(&unix.Timex{Modes: 0x8000 | 0x0001}); return err }},
		{"swapon", raw(unix.SYS_SWAPON, word("/root/x"), 0)},
		{"quotactl", raw(unix.SYS_QUOTACTL, 0x80000200, word("/dev/loop0"), 0, at)},
		{"acct", raw(unix.SYS_ACCT, word("/root/acct"))},
		{"init_module", raw(unix.SYS_INIT_MODULE, at, 10, word(""))},
		{"finit_module", raw(unix.SYS_FINIT_MODULE, 0, word(""), 0)},
		{"delete_module", raw(unix.SYS_DELETE_MODULE, word("loop"), 0)},
		{"kexec_load", raw(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0)},
		{"open_by_handle_at", openByHandle},
		{"bpf", raw(unix.SYS_BPF, 0, at, 72)},
		{"perf_event_open", perfOpen},
		{"userfaultfd", raw(unix.SYS_USERFAULTFD, 0)},
		{"keyctl:read", raw(unix.SYS_KEYCTL, 11, 0xfffffffd, at, 64)},
		{"add_key", raw(unix.SYS_ADD_KEY, word("user"), word("x"), at, 8, 0xfffffffd)},
		{"syslog", raw(unix.SYS_SYSLOG, 3, at, 4096)},
		{"io_uring_setup", raw(unix.SYS_IO_URING_SETUP, 8, at)},
		{"socket:vsock", newSocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"socket:alg", newSocket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		{"mount:proc", mountOn("proc")},
		{"mount:sysfs", mountOn("sysfs")},
		{"mount:ext4", func() error { return unix.Mount("/dev/loop0", "/mnt", "ext4", 0, "") }},
		{"mount:debugfs", mountOn("debugfs")},
		{"mount:bpf", mountOn("bpf")},
		{"cgroup:limit", cgroupLimit},
		{"cgroup:escape", cgroupEscape},
		{"chroot:escape", chrootEscape},
		{"pivot_root", func() error { return unix.PivotRoot("/mnt", "/mnt") }},
		{"setns:pid1-user", setnsOf("/proc/1/ns/user", unix.CLONE_NEWUSER)},
		{"nice:-5", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -5) }},
		{"rlimit:nofile", func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 30, Max: 1 << 30}) }},
	}
	return slices.Concat(list, archCalls(), umounts())
}

// umounts tries to take away every mount there is, lazily too.
func umounts() []call {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var list []call
	for line := range strings.Lines(string(data)) {
		point := strings.Fields(line)[4]
		list = append(list,
			call{"umount:" + point, func() error { return unix.Unmount(point, 0) }},
			call{"umount-lazy:" + point, func() error { return unix.Unmount(point, unix.MNT_DETACH) }})
	}
	return list
}

func mountOn(kind string) func() error {
	return func() error {
		err := unix.Mount("none", "/mnt", kind, 0, "")
		if err == nil {
			err = errors.Join(unix.Unmount("/mnt", 0))
		}
		return err
	}
}

func ownTmpfs() error {
	if err := unix.Mount("none", "/mnt", "tmpfs", 0, ""); err != nil {
		return err
	}
	return unix.Unmount("/mnt", 0)
}

func mknodOnTmpfs() error {
	if err := unix.Mount("none", "/mnt", "tmpfs", 0, ""); err != nil {
		return err
	}
	defer unix.Unmount("/mnt", unix.MNT_DETACH)
	return unix.Mknod("/mnt/mem", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1)))
}

func bindThenWrite() error {
	if err := unix.Mount("/usr", "/mnt", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	defer unix.Unmount("/mnt", unix.MNT_DETACH)
	_ = unix.Mount("", "/mnt", "", unix.MS_REMOUNT|unix.MS_BIND, "")
	return write("/mnt/bin/true", "x")()
}

func openByHandle() error {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/", 0)
	if err != nil {
		return err
	}
	root, err := unix.Open("/", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := unix.OpenByHandleAt(root, h, unix.O_RDONLY)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func perfOpen() error {
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}, -1, 0, -1, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// cgroupLimit mounts what cgroups can be mounted and tries to lift a limit.
func cgroupLimit() error {
	for _, m := range []struct{ kind, data, file string }{{"cgroup2", "", "pids.max"}, {"cgroup", "pids", "pids.max"}, {"cgroup", "memory", "memory.limit_in_bytes"}} {
		if unix.Mount("none", "/mnt", m.kind, 0, m.data) != nil {
			continue
		}
		err := write("/mnt/"+m.file, "max")()
		made := unix.Mkdir("/mnt/mallory", 0o755)
		released := write("/mnt/release_agent", "/root/x")()
		unix.Unmount("/mnt", unix.MNT_DETACH)
		if err == nil || made == nil || released == nil {
			return nil
		}
	}
	return unix.EACCES
}

// cgroupEscape tries to move this process into the root of a hierarchy.
func cgroupEscape() error {
	if err := unix.Mount("none", "/mnt", "cgroup2", 0, ""); err != nil {
		return err
	}
	defer unix.Unmount("/mnt", unix.MNT_DETACH)
	return write("/mnt/cgroup.procs", fmt.Sprint(os.Getpid()))()
}

// chrootEscape is the classic: chroot below, with the working directory left
// above, then up as far as it goes. It says what it finds there.
func chrootEscape() error {
	cmd := exec.Command("/proc/self/exe", "escape")
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(string(out)))
}

func tryEscape([]string) error {
	const below = "/root/below"
	if err := os.MkdirAll(below, 0o755); err != nil {
		return err
	}
	if err := errors.Join(unix.Chdir("/"), unix.Chroot(below)); err != nil {
		return err
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if _, err := os.Stat("/run/emulab/jail.conf"); err != nil {
		return fmt.Errorf("somewhere else: %w", err)
	}
	fmt.Println("still inside")
	return nil
}

func setnsOf(path string, kind int) func() error {
	return func() error {
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Setns(fd, kind)
	}
}
