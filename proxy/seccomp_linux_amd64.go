package proxy

import "golang.org/x/sys/unix"

// auditArch is this architecture. Calls of x32, which shares it, have other
// numbers and so are refused.
const auditArch = unix.AUDIT_ARCH_X86_64

// machineCalls are old calls that only this architecture has.
func machineCalls() []uint32 {
	return []uint32{unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_PIPE, unix.SYS_ARCH_PRCTL}
}
