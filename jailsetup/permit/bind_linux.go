package permit

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// Bind is the step that holds what the processes of a cgroup may bind.
type Bind struct {
	CgroupDir string     // v2
	Primary   netip.Addr // what a wildcard becomes; invalid: it stays one
	PortLow   uint16     // with PortHigh the range of ports; both 0: any
	PortHigh  uint16
}

// Needed tells whether the step would do anything.
func (b Bind) Needed() bool { return b.Primary.IsValid() || b.PortHigh != 0 }

// String implements [plan.Step].
func (b Bind) String() string {
	text := "hold bind(2):"
	if b.Primary.IsValid() {
		text += fmt.Sprintf(" wildcard becomes %s", b.Primary)
	}
	if b.PortHigh != 0 {
		text += fmt.Sprintf(" ports %d-%d only", b.PortLow, b.PortHigh)
	}
	return text
}

// Undo implements [plan.Step]: the programs go with the cgroup.
func (b Bind) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (b Bind) Do(context.Context, *plan.State) error {
	if b.PortLow > b.PortHigh || b.PortHigh != 0 && b.PortLow == 0 {
		return fmt.Errorf("ports %d-%d are no range", b.PortLow, b.PortHigh)
	}
	if b.Primary.IsValid() && !b.Primary.Is4() {
		return fmt.Errorf("primary address %s is not IPv4", b.Primary)
	}
	cgroup, err := os.Open(b.CgroupDir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	for _, p := range [...]struct {
		attach ebpf.AttachType
		code   asm.Instructions
	}{
		{ebpf.AttachCGroupInet4Bind, b.bind4()},
		{ebpf.AttachCGroupInet6Bind, b.bind6()},
	} {
		if err := attach(int(cgroup.Fd()), ebpf.CGroupSockAddr, p.attach, p.code); err != nil {
			return err
		}
	}
	return nil
}

// attach loads a program and attaches it to a cgroup, beside others that may be
// there, for as long as the cgroup lives.
func attach(target int, kind ebpf.ProgramType, at ebpf.AttachType, code asm.Instructions) error {
	prog, err := load(kind, at, code)
	if err != nil {
		return err
	}
	defer prog.Close()
	flags := uint32(unix.BPF_F_ALLOW_MULTI)
	if kind == ebpf.SchedCLS {
		flags = 0 // a link's programs are several anyway
	}
	err = link.RawAttachProgram(link.RawAttachProgramOptions{Target: target, Program: prog, Attach: at, Flags: flags})
	if err != nil {
		return fmt.Errorf("attach program for %s: %w", at, err)
	}
	return nil
}

// programName is what bpftool shows of this package's.
const programName = "emujail"

func load(kind ebpf.ProgramType, at ebpf.AttachType, code asm.Instructions) (*ebpf.Program, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: programName, Type: kind, AttachType: at, Instructions: code, License: "none",
	})
	if err != nil {
		return nil, fmt.Errorf("load program for %s: %w", at, err)
	}
	return prog, nil
}

// Offsets in struct bpf_sock_addr (linux/bpf.h).
const (
	offUserIP4  = 4
	offUserIP6  = 8
	offUserPort = 24
)

const (
	allow = 1
	deny  = 0
)

// portCheck leaves by "out" with deny when the port is out of range; port 0
// means that the kernel chooses. It keeps R6, the context.
func (b Bind) portCheck() asm.Instructions {
	if b.PortHigh == 0 {
		return nil
	}
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, offUserPort, asm.Word),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.JEq.Imm(asm.R2, 0, "port ok"),
		asm.Mov.Imm(asm.R0, deny),
		asm.JLT.Imm(asm.R2, int32(b.PortLow), "out"),
		asm.JGT.Imm(asm.R2, int32(b.PortHigh), "out"),
		asm.Mov.Imm(asm.R0, allow).WithSymbol("port ok"),
	}
}

func end() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, allow).WithSymbol("allow"),
		asm.Return().WithSymbol("out"),
	}
}

// word is the address as the four bytes lie in memory.
func (b Bind) word() int64 {
	a := b.Primary.As4()
	return int64(binary.NativeEndian.Uint32(a[:]))
}

func (b Bind) bind4() asm.Instructions {
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	code = append(code, b.portCheck()...)
	if b.Primary.IsValid() {
		code = append(code,
			asm.LoadMem(asm.R2, asm.R6, offUserIP4, asm.Word),
			asm.JNE.Imm(asm.R2, 0, "allow"),
			asm.LoadImm(asm.R2, b.word(), asm.DWord),
			asm.StoreMem(asm.R6, offUserIP4, asm.R2, asm.Word),
		)
	}
	return append(code, end()...)
}

// mappedPrefix is the third word of ::ffff:a.b.c.d, as it lies in memory.
func mappedPrefix() int64 { return int64(binary.NativeEndian.Uint32([]byte{0, 0, 0xff, 0xff})) }

// bind6 turns :: into the IPv4-mapped primary address.
func (b Bind) bind6() asm.Instructions {
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	code = append(code, b.portCheck()...)
	if b.Primary.IsValid() {
		for word := range int16(4) {
			code = append(code,
				asm.LoadMem(asm.R2, asm.R6, offUserIP6+4*word, asm.Word),
				asm.JNE.Imm(asm.R2, 0, "allow"))
		}
		code = append(code,
			asm.LoadImm(asm.R2, mappedPrefix(), asm.DWord),
			asm.StoreMem(asm.R6, offUserIP6+8, asm.R2, asm.Word),
			asm.LoadImm(asm.R2, b.word(), asm.DWord),
			asm.StoreMem(asm.R6, offUserIP6+12, asm.R2, asm.Word))
	}
	return append(code, end()...)
}
