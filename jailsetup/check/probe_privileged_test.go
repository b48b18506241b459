//go:build linux && privileged

package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/limit"
)

// denied is a system call that a host lacks, or one value of an argument.
type denied struct {
	Call  uint32
	Arg   int // of Value or Flag
	Value uint32
	Flag  uint32 // a bit, instead of Value
	Any   bool   // whatever the arguments
}

func call(nr int) denied { return denied{Call: uint32(nr), Any: true} }

// withoutEnv names, in JSON, what the process that TestMain makes of itself
// lacks.
const withoutEnv = "CHECK_WITHOUT"

// TestMain is also a host that lacks something: it takes system calls away from
// itself and prints what the doctor misses.
func TestMain(m *testing.M) {
	text, ok := os.LookupEnv(withoutEnv)
	if !ok {
		os.Exit(m.Run())
	}
	var d denied
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := deny(d); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, a := range Host() {
		if a.Err != nil {
			fmt.Println(a.Name)
		}
	}
}

// deny takes a call away from all threads of this process: it isn't implemented.
func deny(d denied) error {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	unless := func(value uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: skip}
	}
	result := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	gone := result(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	const number, args = 0, 16 // offsets in struct seccomp_data
	code := []unix.SockFilter{load(number), unless(d.Call, 1), gone, result(unix.SECCOMP_RET_ALLOW)}
	if d.Flag != 0 {
		set := unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: d.Flag, Jf: 1}
		code = []unix.SockFilter{load(number), unless(d.Call, 3), load(args + 8*uint32(d.Arg)), set, gone, result(unix.SECCOMP_RET_ALLOW)}
	} else if !d.Any {
		code = []unix.SockFilter{load(number), unless(d.Call, 3), load(args + 8*uint32(d.Arg)), unless(d.Value, 1), gone, result(unix.SECCOMP_RET_ALLOW)}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// TestLacks: a host without a thing is told so, and that it lacks nothing else.
func TestLacks(t *testing.T) {
	for _, row := range []struct {
		name string
		deny denied
		want []string
	}{
		{"nothing", denied{}, nil},
		{"namespaces", denied{Call: unix.SYS_CLONE, Flag: unix.CLONE_NEWUSER}, []string{"namespaces", "idmapped mounts"}},
		{"fsopen", call(unix.SYS_FSOPEN), []string{"mounts by descriptor", "idmapped mounts", "ext4", "proc for another pid namespace"}},
		{"mount_setattr", call(unix.SYS_MOUNT_SETATTR), []string{"idmapped mounts"}},
		{"openat2", call(unix.SYS_OPENAT2), []string{"openat2"}},
		{"PIDFD_GET_INFO", denied{Call: unix.SYS_IOCTL, Arg: 1, Value: unix.PIDFD_GET_INFO}, []string{"PIDFD_GET_INFO"}},
		{"seccomp", call(unix.SYS_SECCOMP), []string{"system call filters"}},
		{"bpf", call(unix.SYS_BPF), []string{"programs at cgroups and links"}},
		{"nftables", denied{Call: unix.SYS_SOCKET, Arg: 2, Value: unix.NETLINK_NETFILTER}, []string{"nftables"}},
		{"unshare", call(unix.SYS_UNSHARE), []string{"programs at cgroups and links", "nftables", "bridges and veth"}},
		{"mkdir in the cgroups", call(unix.SYS_MKDIRAT), []string{"cgroup.kill", "programs at cgroups and links"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			data, err := json.Marshal(row.deny)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Env = append(os.Environ(), withoutEnv+"="+string(data))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got []string
			if len(out) > 0 {
				got = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("it lacks %q, want %q", got, row.want)
			}
		})
	}
}

// TestNoCgroupKill: a hierarchy without the file has no such thing.
func TestNoCgroupKill(t *testing.T) {
	dir := t.TempDir()
	if err := killIn(dir); err == nil {
		t.Error("no error")
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := killIn(dir); err != nil {
		t.Error(err)
	}
}

// TestNoTrace: what the probes make is gone when they are done, and what one that
// was killed has left.
func TestNoTrace(t *testing.T) {
	h, err := limit.Discover()
	if err != nil {
		t.Fatal(err)
	}
	stale, long := filepath.Join(h.V2, probePrefix+"stale"), time.Now().Add(-2*probeStale)
	if err := errors.Join(os.Mkdir(stale, 0o755), os.Chtimes(stale, long, long)); err != nil {
		t.Fatal(err)
	}
	for _, a := range Host() {
		if a.Err != nil {
			t.Errorf("%s: %v", a.Name, a.Err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(h.V2, probePrefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) { // until then they may be another test's, at work
			t.Fatalf("left: %v", left)
		}
	}
}
