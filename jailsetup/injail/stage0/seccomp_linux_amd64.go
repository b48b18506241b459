package stage0

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_X86_64
	lowWord      = 0          // the low half of a 64-bit argument comes first
	firstForeign = 0x40000000 // x32's numbers begin here
)

// machineCalls are refused calls that only this architecture has.
func machineCalls() []uint32 {
	return []uint32{
		unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_CREATE_MODULE,
		unix.SYS_QUERY_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_USELIB,
		unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS__SYSCTL,
	}
}
