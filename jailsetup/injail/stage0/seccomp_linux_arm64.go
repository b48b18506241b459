package stage0

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_AARCH64
	lowWord      = 0 // the low half of a 64-bit argument comes first
	firstForeign = 0 // one calling convention only
)

// machineCalls are refused calls that only this architecture has.
func machineCalls() []uint32 { return nil }
