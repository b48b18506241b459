package proxy

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_RISCV64

func machineCalls() []uint32 { return nil }
