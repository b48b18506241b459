//go:build linux && privileged

package proxy

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confinedProbe runs probe in a process of its own and returns what it prints.
func confinedProbe(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"=probe")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// probe confines this process and tries what it shouldn't be able to.
func probe() error {
	proc, err := Confine(User, User)
	if err != nil {
		return err
	}
	dir := int(proc.Fd())
	open := func(dir int, path string, flags int) error {
		fd, err := unix.Openat(dir, path, flags, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	socket := func(family, kind int) error {
		fd, err := unix.Socket(family, kind, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	call := func(nr uintptr, args ...uintptr) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
	slash := []byte("/\x00")
	var out strings.Builder
	for _, row := range []struct {
		name string
		err  error
	}{
		{"open /etc/passwd", open(unix.AT_FDCWD, "/etc/passwd", readFlags)},
		{"open below proc for writing", open(dir, "self/comm", unix.O_RDWR)},
		{"open above proc", open(dir, "../etc/passwd", readFlags)},
		{"unix socket", socket(unix.AF_UNIX, unix.SOCK_STREAM)},
		{"netlink socket", socket(unix.AF_NETLINK, unix.SOCK_RAW)},
		{"fork", call(unix.SYS_CLONE, uintptr(unix.SIGCHLD))},
		{"exec", call(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&slash[0])))},
		{"executable memory", call(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0))},
		{"ptrace", call(unix.SYS_PTRACE, unix.PTRACE_TRACEME)},
		{"io_uring", call(unix.SYS_IO_URING_SETUP, 1)},
		{"chroot", call(unix.SYS_CHROOT, uintptr(unsafe.Pointer(&slash[0])))},
		{"setuid", call(unix.SYS_SETUID, 0)},
		{"read comm", open(dir, "1/comm", readFlags)},
		{"ip socket", socket(unix.AF_INET, unix.SOCK_STREAM)},
	} {
		fmt.Fprintf(&out, "%s: %s\n", row.name, errText(row.err))
	}
	_, err = os.Stdout.WriteString(out.String())
	return err
}

// connect makes the connection of a socket that it was handed, says so, and
// stays until its standard input ends.
func connect(path string) error {
	if err := unix.Connect(3, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	fmt.Println("connected")
	os.Stdin.Read(make([]byte, 1))
	return nil
}

// privilegedChild are the programs that only privileged tests need.
func privilegedChild(mode string) (error, bool) {
	switch mode {
	case "probe":
		return probe(), true
	case "connect":
		return connect(os.Getenv("PROXY_TEST_PATH")), true
	}
	return nil, false
}
