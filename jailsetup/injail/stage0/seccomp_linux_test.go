package stage0

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	seccomp "github.com/elastic/go-seccomp-bpf"
)

// data is what the kernel shows a filter of one system call.
type data struct {
	arch, nr uint32
	args     [6]uint64
}

// decide runs a program in an emulator. That one loads big-endian words, so
// the words are put that way, each at the place where this machine has it.
func decide(t *testing.T, vm *bpf.VM, d data) uint32 {
	t.Helper()
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[0:], d.nr)
	binary.BigEndian.PutUint32(b[4:], d.arch)
	for i, a := range d.args {
		binary.BigEndian.PutUint32(b[16+8*i+lowWord:], uint32(a))
		binary.BigEndian.PutUint32(b[16+8*i+4-lowWord:], uint32(a>>32))
	}
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func emulator(t *testing.T, o Options) *bpf.VM {
	t.Helper()
	var program []bpf.Instruction
	for _, f := range Filter(o) {
		program = append(program, bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("filter of %d instructions: %v", len(program), err)
	}
	return vm
}

const allowed = uint32(unix.SECCOMP_RET_ALLOW)

func errno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// allOptions are the thirty-two ways to set the switches.
func allOptions() []Options {
	var all []Options
	for i := range 32 {
		all = append(all, Options{SysVIPC: i&1 != 0, Packet: i&2 != 0, Raw: i&4 != 0, Netfilter: i&8 != 0, Multicast: i&16 != 0})
	}
	return all
}

// TestEveryCall: of all system calls with arguments zero, exactly those listed
// are refused, whatever the switches are.
func TestEveryCall(t *testing.T) {
	for _, o := range allOptions() {
		want := map[uint32]uint32{}
		for _, nr := range append(forbidden(), machineCalls()...) {
			want[nr] = errno(unix.EPERM)
		}
		for _, nr := range absent() {
			want[nr] = errno(unix.ENOSYS)
		}
		if !o.SysVIPC {
			for _, nr := range []uint32{unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET} {
				want[nr] = errno(unix.ENOSYS)
			}
		}
		want[unix.SYS_SOCKET], want[unix.SYS_SOCKETPAIR] = errno(unix.EAFNOSUPPORT), errno(unix.EAFNOSUPPORT)
		vm := emulator(t, o)
		for nr := range uint32(600) {
			expect, ok := want[nr]
			if !ok {
				expect = allowed
			}
			if got := decide(t, vm, data{arch: auditArch, nr: nr}); got != expect {
				t.Errorf("%+v: call %d gives %#x, want %#x", o, nr, got, expect)
			}
		}
	}
}

func TestForeignConventions(t *testing.T) {
	vm := emulator(t, DefaultOptions())
	for name, d := range map[string]data{
		"i386":  {arch: unix.AUDIT_ARCH_I386, nr: 1},
		"arm":   {arch: unix.AUDIT_ARCH_ARM, nr: 1},
		"mips":  {arch: unix.AUDIT_ARCH_MIPS, nr: 4001},
		"never": {arch: 0, nr: 0},
	} {
		if got := decide(t, vm, d); got != errno(unix.ENOSYS) {
			t.Errorf("%s: %#x, want ENOSYS", name, got)
		}
	}
	if firstForeign != 0 {
		for _, nr := range []uint32{firstForeign, firstForeign | 41, ^uint32(0)} {
			if got := decide(t, vm, data{arch: auditArch, nr: nr}); got != errno(unix.ENOSYS) {
				t.Errorf("number %#x: %#x, want ENOSYS", nr, got)
			}
		}
	}
}

func TestSocketsBySwitch(t *testing.T) {
	for _, o := range allOptions() {
		vm := emulator(t, o)
		permit := func(ok bool) uint32 {
			if ok {
				return allowed
			}
			return errno(unix.EPERM)
		}
		tests := []struct {
			name string
			nr   uint32
			args [6]uint64
			want uint32
		}{
			{"unix", unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allowed},
			{"unix pair", unix.SYS_SOCKETPAIR, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allowed},
			{"tcp", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allowed},
			{"udp6", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM}, allowed},
			{"raw", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_NONBLOCK}, permit(o.Raw)},
			{"raw6", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6, unix.SOCK_RAW}, permit(o.Raw)},
			{"packet", unix.SYS_SOCKET, [6]uint64{unix.AF_PACKET, unix.SOCK_DGRAM}, permit(o.Packet)},
			{"old packet", unix.SYS_SOCKET, [6]uint64{unix.AF_INET, sockPacket | unix.SOCK_CLOEXEC}, permit(false)},
			{"netfilter", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, permit(o.Netfilter)},
			{"route", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allowed},
			{"vsock", unix.SYS_SOCKET, [6]uint64{unix.AF_VSOCK}, permit(false)},
			{"alg", unix.SYS_SOCKET, [6]uint64{unix.AF_ALG}, permit(false)},
			{"can", unix.SYS_SOCKET, [6]uint64{unix.AF_CAN}, errno(unix.EAFNOSUPPORT)},
			{"bypass", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS}, permit(false)},
			{"frames to be cut", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_PACKET, unix.PACKET_VNET_HDR}, permit(false)},
			{"frames to be cut, by size", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_PACKET, packetVNetHdrSize}, permit(false)},
			{"other packet option", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP}, allowed},
			{"same number elsewhere", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_SOCKET, unix.PACKET_QDISC_BYPASS}, allowed},
			{"iptables", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IP, xtSetReplace}, permit(o.Netfilter)},
			{"ip6tables", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IPV6, xtAddCounters}, permit(o.Netfilter)},
			{"ebtables", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IP, ebtSetEntries}, permit(o.Netfilter)},
			{"multicast router", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IP, mrtInit}, permit(o.Multicast)},
			{"multicast router, IPv6", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IPV6, mrtInit}, permit(o.Multicast)},
			{"same number elsewhere too", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_SOCKET, mrtInit}, allowed},
			{"traffic class", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IPV6, unix.IPV6_TCLASS}, allowed},
			{"time to live", unix.SYS_SETSOCKOPT, [6]uint64{3, unix.SOL_IP, unix.IP_TTL}, allowed},
			{"join keyring", unix.SYS_KEYCTL, [6]uint64{unix.KEYCTL_JOIN_SESSION_KEYRING}, allowed},
			{"read key", unix.SYS_KEYCTL, [6]uint64{unix.KEYCTL_READ}, permit(false)},
			{"debugger", unix.SYS_PERSONALITY, [6]uint64{perNoRandomize}, allowed},
			{"read implies exec", unix.SYS_PERSONALITY, [6]uint64{0x0400000}, permit(false)},
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s %+v", tt.name, o), func(t *testing.T) {
				if got := decide(t, vm, data{auditArch, tt.nr, tt.args}); got != tt.want {
					t.Errorf("%#x, want %#x", got, tt.want)
				}
				for i := range tt.args { // the kernel takes an int: what stands above it must not matter
					tt.args[i] |= 1 << 32
				}
				if got := decide(t, vm, data{auditArch, tt.nr, tt.args}); got != tt.want {
					t.Errorf("with high bits: %#x, want %#x", got, tt.want)
				}
			})
		}
	}
}

// TestCoreLimitStays: the limit of core dumps is read, never set, wherever the
// new one lies; other limits are the jail's business.
func TestCoreLimitStays(t *testing.T) {
	const above, top = 1 << 32, 1 << 63 // addresses whose low half is null
	vm := emulator(t, DefaultOptions())
	for _, tt := range []struct {
		name string
		nr   uint32
		args [6]uint64
		want uint32
	}{
		{"setrlimit", unix.SYS_SETRLIMIT, [6]uint64{unix.RLIMIT_CORE, above}, errno(0)},
		{"setrlimit, high bits", unix.SYS_SETRLIMIT, [6]uint64{above | unix.RLIMIT_CORE, 4096}, errno(0)},
		{"setrlimit of another", unix.SYS_SETRLIMIT, [6]uint64{unix.RLIMIT_NOFILE, 4096}, allowed},
		{"getrlimit", unix.SYS_GETRLIMIT, [6]uint64{unix.RLIMIT_CORE, 4096}, allowed},
		{"prlimit, to read", unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_CORE, 0, 4096}, allowed},
		{"prlimit", unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_CORE, 4096}, errno(0)},
		{"prlimit, of another's", unix.SYS_PRLIMIT64, [6]uint64{7, above | unix.RLIMIT_CORE, 4096, 8192}, errno(0)},
		{"prlimit, at 4 GiB", unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_CORE, above}, errno(0)},
		{"prlimit, at the top", unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_CORE, top}, errno(0)},
		{"prlimit of another limit", unix.SYS_PRLIMIT64, [6]uint64{0, unix.RLIMIT_NOFILE, 4096}, allowed},
	} {
		if got := decide(t, vm, data{auditArch, tt.nr, tt.args}); got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// TestBodiesAreShort: jumps are one byte.
func TestBodiesAreShort(t *testing.T) {
	for _, o := range allOptions() {
		for _, r := range rules(o) {
			if len(r.body) > 255 {
				t.Errorf("call %d: %d instructions", r.nr, len(r.body))
			}
		}
		if n := len(Filter(o)); n > 4096 {
			t.Errorf("%d instructions, the kernel takes 4096", n)
		}
	}
}

// TestWhyNotALibrary shows what decided for our own few instructions: the one
// that design §4 had chosen compares 64 bits, and socket(2) doesn't.
func TestWhyNotALibrary(t *testing.T) {
	p := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{{
		Action: seccomp.ActionErrno,
		NamesWithCondtions: []seccomp.NameWithConditions{{Name: "socket", Conditions: seccomp.ArgumentConditions{
			{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_VSOCK},
		}}},
	}}}
	program, err := p.Assemble()
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	plain := decide(t, vm, data{auditArch, unix.SYS_SOCKET, [6]uint64{unix.AF_VSOCK}})
	high := decide(t, vm, data{auditArch, unix.SYS_SOCKET, [6]uint64{1<<32 | unix.AF_VSOCK}})
	if plain == allowed || high != allowed {
		t.Errorf("plain %#x, with high bits %#x: the library has changed, look at it again", plain, high)
	}
}
