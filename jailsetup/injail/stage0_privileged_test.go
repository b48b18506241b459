//go:build linux && privileged

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/stage0"
)

// refusedToAll are the calls that no jail gets, and what they say instead.
func refusedToAll() map[string]string {
	return map[string]string{
		"io_uring_setup": "ENOSYS", "io_uring_enter": "ENOSYS", "io_uring_register": "ENOSYS",
		"kexec_load": "ENOSYS", "init_module": "ENOSYS", "getpid by x32": "ENOSYS",
		"bpf": "EPERM", "perf_event_open": "EPERM", "userfaultfd": "EPERM",
		"open_by_handle_at": "EPERM", "name_to_handle_at": "EPERM", "settimeofday": "EPERM",
		"clock_settime": "EPERM", "swapon": "EPERM", "quotactl": "EPERM", "syslog": "EPERM",
		"sethostname": "EPERM", "setdomainname": "EPERM", "add_key": "EPERM", "request_key": "EPERM",
		"iopl": "EPERM", "vsock": "EPERM", "vsock, high bits": "EPERM", "alg": "EPERM",
		"bluetooth": "EAFNOSUPPORT", "xdp": "EAFNOSUPPORT", "old packet": "EPERM", "old packet, cloexec": "EPERM",
		"key read": "EPERM", "key describe": "EPERM", "key search": "EPERM", "personality, svr4": "EPERM",
		// and their counterparts, which everybody gets
		"key join": "ok", "personality, ask": "ok", "personality, linux": "ok",
		"unix": "ok", "tcp": "ok", "udp6": "ok", "route": "ok",
	}
}

func TestSystemCallFilter(t *testing.T) {
	with := func(more map[string]string) map[string]string {
		want := refusedToAll()
		for n, w := range more {
			want[n] = w
		}
		return want
	}
	tests := []struct {
		name string
		o    stage0.Options
		want map[string]string
	}{
		{"everything switched on", stage0.DefaultOptions(), with(map[string]string{
			"shmget": "ok", "semget": "ok", "msgget": "ok", "packet": "ok", "packet, high bits": "ok",
			"raw": "ok", "raw6, nonblock": "ok", "netfilter": "ok", "packet bypass": "EPERM",
		})},
		{"everything switched off", stage0.Options{}, with(map[string]string{
			"shmget": "ENOSYS", "semget": "ENOSYS", "msgget": "ENOSYS", "packet": "EPERM", "packet, high bits": "EPERM",
			"raw": "EPERM", "raw6, nonblock": "EPERM", "netfilter": "EPERM",
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := setup{}
			s.message.Seccomp = tt.o
			r := boot(t, s)
			for n, got := range probeIn(r, namesOf(tt.want)) {
				if got != tt.want[n] {
					t.Errorf("%s: %s, want %s", n, got, tt.want[n])
				}
			}
		})
	}
}

// TestFilterHoldsWhatItMust: each *cannot* has its *can*. Without the filter
// this kernel would have let these through.
func TestFilterHoldsWhatItMust(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "probe")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	names := []string{"vsock", "vsock, high bits", "old packet", "packet bypass", "sethostname"}
	out, err := exec.Command(link, names...).CombinedOutput()
	if err != nil {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	if got, want := strings.Fields(string(out)), []string{"ok", "ok", "ok", "ok", "EFAULT"}; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("on the host %q give %q, want %q", names, got, want)
	}
}

// i386 is a 32-bit program of one page that exits with 42 by int $0x80 and,
// when that call comes back, ends by an invalid instruction.
func i386() []byte {
	code := []byte{
		0xb8, 1, 0, 0, 0, // mov $1, %eax (exit)
		0xbb, 42, 0, 0, 0, // mov $42, %ebx
		0xcd, 0x80, // int $0x80
		0x0f, 0x0b, // ud2
	}
	const base, header = 0x08048000, 52 + 32
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 2) // executable
	b = le.AppendUint16(b, 3) // i386
	for _, n := range []uint32{1, base + header, 52, 0, 0} {
		b = le.AppendUint32(b, n)
	}
	for _, n := range []uint16{52, 32, 1, 0, 0, 0} {
		b = le.AppendUint16(b, n)
	}
	size := uint32(header + len(code))
	for _, n := range []uint32{1, 0, base, base, size, size, 5, 4096} { // one segment, read and execute
		b = le.AppendUint32(b, n)
	}
	return append(b, code...)
}

func TestThirtyTwoBitProgramsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "i386")
	if err := os.WriteFile(path, i386(), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 42 {
		t.Fatalf("on the host the program gives %v, want exit 42: the test tests nothing", cmd.ProcessState)
	}
	r := boot(t, setup{files: map[string]string{"/tmp/i386": string(i386())}})
	if out := r.sh("chmod 755 /tmp/i386; /tmp/i386; echo $?"); !strings.HasSuffix(out, "132") { // SIGILL
		t.Errorf("inside: %q, want 132: its system call must come back", out)
	}
}

// TestDescriptorsStayOutside is row T1: the caller leaks a directory of the
// host and a pipe.
func TestDescriptorsStayOutside(t *testing.T) {
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := boot(t, setup{leak: []*os.File{dir, dir, dir}})
	if out := r.sh("ls -l /proc/1/fd | grep -e '-> /$' -e seqpacket || echo none"); out != "none" {
		t.Errorf("PID 1 has %s", out)
	}
	if out := probeIn(r, []string{"descriptors"})["descriptors"]; out != "0 1 2" {
		t.Errorf("a session has descriptors %s, want 0 1 2", out)
	}
	rc := boot(t, setup{rc: "exec /run/emulab/bin/probe descriptors >/tmp/fds", leak: []*os.File{dir}})
	eventually(t, "rc has run", func() bool { return rc.sh("cat /tmp/fds 2>/dev/null || true") != "" })
	if out := rc.sh("cat /tmp/fds"); out != "0 1 2" {
		t.Errorf("rc has descriptors %s, want 0 1 2", out)
	}
}

// TestCapabilities is row T6 but for the keyring.
func TestCapabilities(t *testing.T) {
	s := setup{}
	s.message.Bounding = []int{unix.CAP_SYS_MODULE, unix.CAP_NET_RAW, unix.CAP_MKNOD, 63}
	r := boot(t, s)
	drop := uint64(1<<unix.CAP_SYS_MODULE | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_MKNOD)
	for _, pid := range []string{"1", "self"} {
		st := map[string]string{}
		for line := range strings.Lines(r.sh("cat /proc/" + pid + "/status")) {
			k, v, _ := strings.Cut(line, ":")
			st[k] = strings.TrimSpace(v)
		}
		for key, want := range map[string]string{"CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "0", "Seccomp": "2"} {
			if st[key] != want {
				t.Errorf("%s of %s: %s, want %s", key, pid, st[key], want)
			}
		}
		for _, key := range []string{"CapBnd", "CapEff", "CapPrm"} {
			var n uint64
			if _, err := fmt.Sscanf(st[key], "%x", &n); err != nil || n&drop != 0 || n&(1<<unix.CAP_SETUID) == 0 {
				t.Errorf("%s of %s: %s, want neither of %x and setuid", key, pid, st[key], drop)
			}
		}
	}
	if out := r.sh("unshare -Ur grep CapBnd /proc/self/status || echo refused"); strings.Contains(out, "CapBnd") {
		var n uint64
		if _, err := fmt.Sscanf(strings.Fields(out)[1], "%x", &n); err != nil || n == 0 {
			t.Errorf("nested: %s", out)
		}
	}
}

// TestKeyringIsNew: the caller's session keyring stays outside, whatever the
// caller forgot (T6). A program that no stage 0 starts has it.
func TestKeyringIsNew(t *testing.T) {
	const name = "session keyring"
	var outside, handedOn string
	r := boot(t, setup{onThread: func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
		outside = sessionKeyring()
		if errno != 0 {
			return errno
		}
		cmd := exec.Command("/proc/self/exe", name)
		cmd.Args[0] = "probe"
		out, err := cmd.Output()
		handedOn = strings.TrimSpace(string(out))
		return err
	}})
	inside := probeIn(r, []string{name})[name]
	if _, err := strconv.Atoi(inside); err != nil || inside == outside {
		t.Errorf("session keyring inside %s, of the caller %s", inside, outside)
	}
	if handedOn != outside {
		t.Errorf("without stage 0 it is %s, of the caller %s", handedOn, outside)
	}
}

func TestNestingIsBounded(t *testing.T) {
	r := boot(t, setup{maxUser: "0"})
	res := collect(t, r.enter(console.Start{Argv: []string{"unshare", "-U", "true"}}))
	if res.exit.Code == 0 || !strings.Contains(res.err, "No space left") {
		t.Errorf("unshare -U with a limit of 0: %+v", res)
	}
	r = boot(t, setup{maxUser: "3"})
	r.sh("unshare -U true")
}

// TestMountsAreLocked: the copy that stage 0 makes is what locks them.
func TestMountsAreLocked(t *testing.T) {
	r := boot(t, setup{})
	for _, script := range []string{"umount /usr", "umount -l /run/emulab", "mount -o remount,rw /usr", "touch /run/emulab/x", "umount /proc"} {
		if res := r.as("root", script); res.exit.Code == 0 {
			t.Errorf("%s worked: %+v", script, res)
		}
	}
	r.sh("mount -t tmpfs none /mnt 2>/dev/null || { mkdir /tmp/m && mount -t tmpfs none /tmp/m && umount /tmp/m; }")
}

func TestStage0SaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name string
		s    setup
		want string
	}{
		{"program missing", setup{files: map[string]string{}, argv: nil, message: stage0.Message{Bounding: []int{-1}}}, "no capability -1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := tryBoot(t, tt.s)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("boot = %v, want %q", err, tt.want)
			}
			if ws := r.wait(deadline); ws.ExitStatus() != 1 {
				t.Errorf("stage 0: wait status %#x, want exit 1", ws)
			}
		})
	}
}

func TestStage0EndsWithItsSpawner(t *testing.T) {
	fds, err := syscall.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	cmd := exec.Command(injail(t), "stage0")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	syscall.Close(fds[0])
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("stage 0 without a spawner: %v, want exit 1", err)
	}
}
