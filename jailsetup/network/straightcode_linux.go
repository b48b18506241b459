package network

import (
	"encoding/binary"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Offsets in a frame: Ethernet, then IPv4.
const (
	frameTo     = 0
	frameFrom   = 6
	frameType   = 12
	frameProto  = 23 // IPv4's
	frameNeeded = 34
)

// The program's stack, keys of the tables: a MAC, the number of the only pause, a
// port.
const (
	stackMAC   = -8
	stackPause = -12
	stackPort  = -16
)

// longest is how long a frame may be that has yet to be cut in pieces, in bytes:
// an interface whose jail raised that sends longer ones, which a bridge cuts.
const longest = 65535

// code is the program of a port with this MAC. R6 is the frame's context, R7 its
// bytes, R8 the other port. A frame that a packet socket made it leaves to who
// judges those.
func (s *straight) code(mac MAC) asm.Instructions {
	return slices.Concat(asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
	}, IfPacketSocket("next", "no packet socket"), asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, skbVLANPresent, asm.Word).WithSymbol("no packet socket"),
		asm.JNE.Imm(asm.R2, 0, "next"),
		asm.LoadMem(asm.R2, asm.R6, skbLen, asm.Word),
		asm.JGT.Imm(asm.R2, longest, "next"),
		asm.LoadMem(asm.R7, asm.R6, skbData, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, skbDataEnd, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, frameNeeded),
		asm.JGT.Reg(asm.R3, asm.R2, "next"),
		asm.LoadMem(asm.R2, asm.R7, frameType, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.JNE.Imm(asm.R2, unix.ETH_P_IP, "next"),
		asm.LoadMem(asm.R2, asm.R7, frameProto, asm.Byte),
		asm.JNE.Imm(asm.R2, unix.IPPROTO_TCP, "next"),

		asm.LoadMem(asm.R2, asm.R7, frameFrom, asm.Word),
		asm.JNE.Imm32(asm.R2, int32(binary.NativeEndian.Uint32(mac[:])), "next"),
		asm.LoadMem(asm.R2, asm.R7, frameFrom+4, asm.Half),
		asm.JNE.Imm(asm.R2, int32(binary.NativeEndian.Uint16(mac[4:])), "next"),

		// Does somebody listen (pauseNow)?
		asm.StoreImm(asm.R10, stackPause, 0, asm.Word),
	}, lookUp(s.pause, stackPause), asm.Instructions{
		asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord),
		asm.JEq.Imm(asm.R8, 0, "nobody listens"),
		asm.FnKtimeGetNs.Call(),
		asm.JLT.Reg(asm.R0, asm.R8, "next"),

		// Whom is it for, and is the port there?
		asm.LoadMem(asm.R1, asm.R7, frameTo, asm.Word).WithSymbol("nobody listens"),
		asm.StoreMem(asm.R10, stackMAC, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, frameTo+4, asm.Half),
		asm.StoreMem(asm.R10, stackMAC+4, asm.R1, asm.Word),
	}, lookUp(s.ports, stackMAC), asm.Instructions{
		asm.LoadMem(asm.R8, asm.R0, 0, asm.Word),
		asm.LoadMem(asm.R1, asm.R6, skbIfindex, asm.Word),
		asm.JEq.Reg(asm.R8, asm.R1, "next"),
		asm.StoreMem(asm.R10, stackPort, asm.R8, asm.Word),
	}, lookUp(s.alive, stackPort), asm.Instructions{

		// It came as another's, by its MAC: older kernels leave it so, and the jail
		// would drop it.
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, unix.PACKET_HOST),
		asm.FnSkbChangeType.Call(),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirectPeer.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, VerdictNext).WithSymbol("next"),
		asm.Return(),
	})
}

// lookUp leaves in R0 where a table has the value of a key on the stack, or goes
// on to the next filter.
func lookUp(table *ebpf.Map, key int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, table.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "next"),
	}
}
