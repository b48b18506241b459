package stage0

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Filter is the seccomp program for o, as the kernel takes it. It allows what
// it doesn't name: capabilities and namespaces are the first wall, and this
// one stands where they leave a gap (spec/linux.md §4: "allowed unless
// filtered") or where a second wall is wanted.
func Filter(o Options) []unix.SockFilter { return program(rules(o)) }

func rules(o Options) []rule {
	var rs []rule
	add := func(b body, numbers ...uint32) {
		for _, nr := range numbers {
			rs = append(rs, rule{nr, b})
		}
	}
	add(refuse(unix.EPERM), forbidden()...)
	add(refuse(unix.EPERM), machineCalls()...)
	add(refuse(unix.ENOSYS), absent()...)
	if !o.SysVIPC {
		add(refuse(unix.ENOSYS), unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET)
	}
	sockets := socketBody(o)
	add(sockets, unix.SYS_SOCKET, unix.SYS_SOCKETPAIR)
	add(setsockoptBody(o), unix.SYS_SETSOCKOPT)
	add(keyctlBody(), unix.SYS_KEYCTL)
	add(personalityBody(), unix.SYS_PERSONALITY)
	add(on(0, anyBits, allow(), branch{unix.RLIMIT_CORE, ignore()}), unix.SYS_SETRLIMIT)
	add(on(1, anyBits, allow(), branch{unix.RLIMIT_CORE, ifNull(2, allow(), ignore())}), unix.SYS_PRLIMIT64)
	return rs
}

// forbidden are calls that no jail has any business with: EPERM, as a kernel
// without the privilege would say.
func forbidden() []uint32 {
	return []uint32{
		// ways around the mount tree: files by handle
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
		// kernel surface with a history and no use in an experiment
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		// the machine's, not the jail's
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SYSLOG,
		unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_VHANGUP,
		// the name is given by the testbed (S5)
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		// request_key starts a program of the host's
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	}
}

// absent are calls that answer as if this kernel didn't have them, so that
// programs fall back quietly. io_uring makes sockets that no rule on socket(2)
// sees.
func absent() []uint32 {
	return []uint32{
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
	}
}

const (
	sockTypeMask = 0xf // the rest are SOCK_CLOEXEC and SOCK_NONBLOCK
	sockPacket   = 10  // SOCK_PACKET: turns AF_INET into AF_PACKET
	anyBits      = ^uint32(0)
)

// socketBody lists the address families that a jail may use; the others are
// unsupported here. socketpair(2) goes by the same list.
func socketBody(o Options) body {
	inet := on(1, sockTypeMask, allow(),
		branch{unix.SOCK_RAW, allowIf(o.Raw)},
		branch{sockPacket, refuse(unix.EPERM)})
	netlink := on(2, anyBits, allow(),
		branch{unix.NETLINK_NETFILTER, allowIf(o.Netfilter)})
	return on(0, anyBits, refuse(unix.EAFNOSUPPORT),
		branch{unix.AF_UNIX, allow()},
		branch{unix.AF_INET, inet},
		branch{unix.AF_INET6, inet},
		branch{unix.AF_NETLINK, netlink},
		branch{unix.AF_PACKET, allowIf(o.Packet)},
		branch{unix.AF_VSOCK, refuse(unix.EPERM)},
		branch{unix.AF_ALG, refuse(unix.EPERM)})
}

// Socket options of the older iptables, ip6tables, arptables and ebtables.
const (
	xtSetReplace  = 64
	xtAddCounters = 65
	arptReplace   = 96
	ebtSetEntries = 128
)

// mrtInit is MRT_INIT and MRT6_INIT (linux/mroute.h, linux/mroute6.h).
const mrtInit = 200

// packetVNetHdrSize is PACKET_VNET_HDR_SZ (linux/if_packet.h).
const packetVNetHdrSize = 24

// setsockoptBody keeps captures from sending past the filter at the links' host
// ends, and the packet filter from being set by its older door. A frame that is
// to be cut (PACKET_VNET_HDR) would arrive there in pieces that don't know their
// socket. A raw socket gives no power over routes (S10).
func setsockoptBody(o Options) body {
	packet := on(2, anyBits, allow(), each(refuse(unix.EPERM), unix.PACKET_QDISC_BYPASS, unix.PACKET_VNET_HDR, packetVNetHdrSize)...)
	var no4, no6 []uint32
	if !o.Netfilter {
		no4 = append(no4, xtSetReplace, xtAddCounters, arptReplace, arptReplace+1, ebtSetEntries, ebtSetEntries+1)
		no6 = append(no6, xtSetReplace, xtAddCounters)
	}
	if !o.Multicast {
		no4, no6 = append(no4, mrtInit), append(no6, mrtInit)
	}
	no := refuse(unix.EPERM)
	return on(1, anyBits, allow(),
		branch{unix.SOL_PACKET, packet},
		branch{unix.SOL_IP, on(2, anyBits, allow(), each(no, no4...)...)},
		branch{unix.SOL_IPV6, on(2, anyBits, allow(), each(no, no6...)...)})
}

// keyctlBody lets through what pam_keyinit needs to give a login its own
// keyring; nothing that reads, searches or describes a key by number, since
// numbers are the machine's (T15).
func keyctlBody() body {
	return on(0, anyBits, refuse(unix.EPERM), each(allow(),
		unix.KEYCTL_GET_KEYRING_ID, unix.KEYCTL_JOIN_SESSION_KEYRING,
		unix.KEYCTL_REVOKE, unix.KEYCTL_SETPERM, unix.KEYCTL_LINK,
		unix.KEYCTL_UNLINK, unix.KEYCTL_SESSION_TO_PARENT)...)
}

// Bits of personality(2) that setarch and debuggers use.
const (
	perLinux       = 0
	perLinux32     = 0x8
	perUname26     = 0x20000
	perNoRandomize = 0x40000
	perQuery       = 0xffffffff
)

// personalityBody refuses emulation of other systems' quirks, some of which
// switch protections off for what is executed next.
func personalityBody() body {
	return on(0, anyBits, refuse(unix.EPERM), each(allow(),
		perLinux, perLinux32, perUname26, perUname26|perLinux32,
		perNoRandomize, perNoRandomize|perLinux32, perQuery)...)
}

// coreLimit keeps what crashes in a jail from being written by the host, outside
// of what the jail may fill (T13): at 1 byte, and at no other limit, the kernel
// starts no program for a core dump (core(5)), and writes no file. The hard limit
// can't be raised inside, and the filter lets nobody lower the soft one: to 0, the
// limit that says "no dump", a program of the host's would be started again. Who
// tries is told that it worked, since sudo and others want it to.
const coreLimit = 1

// limitCores sets the limit, hard and soft.
func limitCores() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: coreLimit, Max: coreLimit}); err != nil {
		return fmt.Errorf("set limit of core dumps to %d byte, from a hard limit of 0 perhaps (ulimit -Hc, LimitCORE=): %w", coreLimit, err)
	}
	return nil
}

// loadFilter sets the filter on the calling thread. That thread needs
// CAP_SYS_ADMIN in its user namespace, since no-new-privileges stays off:
// users in a jail use su and sudo.
func loadFilter(f []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(f)
	if errno != 0 {
		return fmt.Errorf("load seccomp filter of %d instructions: %w", len(f), errno)
	}
	return nil
}
