package stage0

import "golang.org/x/sys/unix"

// A filter is put together from bodies: runs of classic BPF instructions that
// always end in a return, so that one never falls into the next. Jumps are
// relative and stay inside a body, which is therefore kept under 255
// instructions.
//
// Arguments are compared by their low 32 bits only. The kernel takes them as
// int, so a filter that compares 64 bits is passed by socket(1<<32|AF_VSOCK):
// that is why the rules aren't built with a library that does.
type body []unix.SockFilter

// rule decides one system call.
type rule struct {
	nr   uint32
	body body
}

// Offsets in struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

const (
	opLoad  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opFrom  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opRet   = unix.BPF_RET | unix.BPF_K
)

func allow() body { return body{{Code: opRet, K: unix.SECCOMP_RET_ALLOW}} }

func refuse(errno unix.Errno) body {
	return body{{Code: opRet, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}}
}

// ignore answers as if the call had worked.
func ignore() body { return refuse(0) }

// allowIf is allow, or EPERM.
func allowIf(ok bool) body {
	if ok {
		return allow()
	}
	return refuse(unix.EPERM)
}

// branch is one value of an argument and what to do then.
type branch struct {
	value uint32
	then  body
}

// on decides by the low 32 bits of argument arg, masked.
func on(arg int, mask uint32, otherwise body, branches ...branch) body {
	b := body{{Code: opLoad, K: offArgs + 8*uint32(arg) + lowWord}}
	if mask != ^uint32(0) {
		b = append(b, unix.SockFilter{Code: opAnd, K: mask})
	}
	for _, br := range branches {
		b = append(b, unix.SockFilter{Code: opEqual, K: br.value, Jf: uint8(len(br.then))})
		b = append(b, br.then...)
	}
	return append(b, otherwise...)
}

// ifNull decides by whether argument arg, a pointer, is null: all 64 bits of it.
func ifNull(arg int, null, otherwise body) body {
	at := offArgs + 8*uint32(arg)
	b := body{
		{Code: opLoad, K: at + lowWord},
		{Code: opEqual, K: 0, Jf: uint8(2 + len(null))},
		{Code: opLoad, K: at + 4 - lowWord},
		{Code: opEqual, K: 0, Jf: uint8(len(null))},
	}
	return append(append(b, null...), otherwise...)
}

// each makes a branch of every value, all with the same end.
func each(then body, values ...uint32) []branch {
	var bs []branch
	for _, v := range values {
		bs = append(bs, branch{v, then})
	}
	return bs
}

// program is the whole filter: foreign architectures and numbers of a foreign
// calling convention end in ENOSYS before any rule is looked at, so a 32-bit
// program can't go around them.
func program(rules []rule) []unix.SockFilter {
	p := []unix.SockFilter{
		{Code: opLoad, K: offArch},
		{Code: opEqual, K: auditArch, Jt: 1},
		{Code: opRet, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: opLoad, K: offNr},
	}
	if firstForeign != 0 {
		p = append(p, unix.SockFilter{Code: opFrom, K: firstForeign, Jf: 1})
		p = append(p, refuse(unix.ENOSYS)...)
	}
	for _, r := range rules {
		p = append(p, unix.SockFilter{Code: opEqual, K: r.nr, Jf: uint8(len(r.body))})
		p = append(p, r.body...)
	}
	return append(p, allow()...)
}
