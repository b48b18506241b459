//go:build linux && privileged

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain is also the program "probe" that tests run inside a jail: this
// binary under another name, which makes system calls and prints their errno.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "probe" {
		probe(os.Args[1:])
		return
	}
	code := m.Run()
	os.Remove(builtPath())
	os.Exit(code)
}

// call is one attempt: a number and arguments that do no harm when it works.
type call struct {
	nr   uintptr
	args [6]uintptr
}

// attempts are the calls that a probe can make, by name.
func attempts() map[string]call {
	socket := func(family, kind, protocol uintptr) call {
		return call{unix.SYS_SOCKET, [6]uintptr{family, kind, protocol}}
	}
	const bad = ^uintptr(0) // a descriptor or address that isn't
	return map[string]call{
		"io_uring_setup":      {unix.SYS_IO_URING_SETUP, [6]uintptr{1, 0}},
		"io_uring_enter":      {unix.SYS_IO_URING_ENTER, [6]uintptr{bad}},
		"io_uring_register":   {unix.SYS_IO_URING_REGISTER, [6]uintptr{bad}},
		"kexec_load":          {unix.SYS_KEXEC_LOAD, [6]uintptr{}},
		"init_module":         {unix.SYS_INIT_MODULE, [6]uintptr{}},
		"bpf":                 {unix.SYS_BPF, [6]uintptr{bad}},
		"perf_event_open":     {unix.SYS_PERF_EVENT_OPEN, [6]uintptr{0, 0, bad, bad}},
		"userfaultfd":         {unix.SYS_USERFAULTFD, [6]uintptr{unix.O_CLOEXEC}},
		"open_by_handle_at":   {unix.SYS_OPEN_BY_HANDLE_AT, [6]uintptr{bad}},
		"name_to_handle_at":   {unix.SYS_NAME_TO_HANDLE_AT, [6]uintptr{bad}},
		"settimeofday":        {unix.SYS_SETTIMEOFDAY, [6]uintptr{bad}},
		"clock_settime":       {unix.SYS_CLOCK_SETTIME, [6]uintptr{0, bad}},
		"swapon":              {unix.SYS_SWAPON, [6]uintptr{bad}},
		"quotactl":            {unix.SYS_QUOTACTL, [6]uintptr{bad}},
		"syslog":              {unix.SYS_SYSLOG, [6]uintptr{10}},
		"sethostname":         {unix.SYS_SETHOSTNAME, [6]uintptr{bad, 1}},
		"setdomainname":       {unix.SYS_SETDOMAINNAME, [6]uintptr{bad, 1}},
		"add_key":             {unix.SYS_ADD_KEY, [6]uintptr{bad}},
		"request_key":         {unix.SYS_REQUEST_KEY, [6]uintptr{bad}},
		"iopl":                {unix.SYS_IOPL, [6]uintptr{0}},
		"vsock":               socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		"vsock, high bits":    socket(1<<32|unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		"alg":                 socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		"bluetooth":           socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 0),
		"xdp":                 socket(unix.AF_XDP, unix.SOCK_RAW, 0),
		"old packet":          socket(unix.AF_INET, sockPacketOld, 0x300),
		"old packet, cloexec": socket(unix.AF_INET, sockPacketOld|unix.SOCK_CLOEXEC, 0x300),
		"packet":              socket(unix.AF_PACKET, unix.SOCK_RAW, 0),
		"packet, high bits":   socket(1<<40|unix.AF_PACKET, unix.SOCK_RAW, 0),
		"raw":                 socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		"raw6, nonblock":      socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6),
		"netfilter":           socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER),
		"route":               socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE),
		"unix":                socket(unix.AF_UNIX, unix.SOCK_STREAM, 0),
		"tcp":                 socket(unix.AF_INET, unix.SOCK_STREAM, 0),
		"udp6":                socket(unix.AF_INET6, unix.SOCK_DGRAM, 0),
		"shmget":              {unix.SYS_SHMGET, [6]uintptr{unix.IPC_PRIVATE, 4096, 0o600}},
		"semget":              {unix.SYS_SEMGET, [6]uintptr{unix.IPC_PRIVATE, 1, 0o600}},
		"msgget":              {unix.SYS_MSGGET, [6]uintptr{unix.IPC_PRIVATE, 0o600}},
		"key read":            {unix.SYS_KEYCTL, [6]uintptr{unix.KEYCTL_READ, 1}},
		"key describe":        {unix.SYS_KEYCTL, [6]uintptr{unix.KEYCTL_DESCRIBE, 1}},
		"key search":          {unix.SYS_KEYCTL, [6]uintptr{unix.KEYCTL_SEARCH, 1}},
		"key join":            {unix.SYS_KEYCTL, [6]uintptr{unix.KEYCTL_JOIN_SESSION_KEYRING}},
		"personality, ask":    {unix.SYS_PERSONALITY, [6]uintptr{0xffffffff}},
		"personality, linux":  {unix.SYS_PERSONALITY, [6]uintptr{0}},
		"personality, svr4":   {unix.SYS_PERSONALITY, [6]uintptr{0x04100001}},
		"getpid by x32":       {0x40000000 | unix.SYS_GETPID, [6]uintptr{}},
	}
}

const sockPacketOld = 10

// probe prints one line for each call named: its errno's name, or "ok".
func probe(names []string) {
	for _, name := range names {
		switch name {
		case "packet bypass":
			fmt.Println(packetBypass())
			continue
		case "descriptors":
			fmt.Println(descriptors())
			continue
		case "session keyring":
			fmt.Println(sessionKeyring())
			continue
		}
		c, known := attempts()[name]
		if !known {
			fmt.Println("unknown probe")
			continue
		}
		_, _, errno := unix.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		fmt.Println(nameOf(errno))
	}
}

func nameOf(errno unix.Errno) string {
	if errno == 0 {
		return "ok"
	}
	return unix.ErrnoName(errno)
}

// packetBypass opens a packet socket and asks to send past the filters.
func packetBypass() string {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return "no socket: " + err.Error()
	}
	one := int32(1)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, uintptr(unsafe.Pointer(&one)), 4, 0)
	return nameOf(errno)
}

// descriptors lists the open ones among the first hundred.
func descriptors() string {
	var open []string
	for fd := range 100 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, strconv.Itoa(fd))
		}
	}
	return strings.Join(open, " ")
}

// sessionKeyring is the number of the keyring that this thread's session has.
func sessionKeyring() string {
	n, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	if err != nil {
		return err.Error()
	}
	return strconv.Itoa(n)
}

// probeIn makes calls inside a rig and returns name → outcome.
func probeIn(r *rig, names []string) map[string]string {
	r.t.Helper()
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "'" + n + "'"
	}
	lines := strings.Split(r.sh("/run/emulab/bin/probe "+strings.Join(quoted, " ")), "\n")
	if len(lines) != len(names) {
		r.t.Fatalf("probe: %d lines for %d calls: %q", len(lines), len(names), lines)
	}
	outcome := map[string]string{}
	for i, n := range names {
		outcome[n] = lines[i]
	}
	return outcome
}

func namesOf(m map[string]string) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
