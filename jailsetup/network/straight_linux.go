package network

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// straight leads TCP over IPv4 from one jail of a LAN to another past the
// bridge: from the host end where a frame arrives straight to the interface
// inside the other jail. It is a program at the host ends, one a LAN, and its
// tables. What it doesn't know for certain it leaves to the bridge and the
// filters there: all else than TCP, other hosts, shaped interfaces, and frames
// whose source isn't the port's own MAC. So it lets through nothing that the
// filters would not, and where it is missing, the LAN is slower by a fifth.
//
// Nothing of it has a name. The program keeps the tables, and the bridge keeps the
// program: where frames leave a bridge's own device, of which there are none.
type straight struct {
	program *ebpf.Program
	ports   *ebpf.Map // MAC, padded to 8 bytes, to the number of the host end
	pause   *ebpf.Map // one value: until when all goes by the bridge; see hear
}

// straightName is what tc and bpftool show of it.
const straightName = "emujail-lan"

// maxPorts is what a bridge of the kernel's may have.
const maxPorts = 1023

// Where the program stands at a host end. Package permit has handle 1: whichever
// is asked first, both must agree.
const (
	straightPriority = 1
	straightHandle   = 2
)

// newStraight makes a LAN's program and tables.
func newStraight() (s *straight, err error) {
	s = &straight{}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	s.ports, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "lan_ports", Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: maxPorts, Flags: unix.BPF_F_NO_PREALLOC,
	})
	if err != nil {
		return s, fmt.Errorf("make table of ports: %w", err)
	}
	s.pause, err = ebpf.NewMap(&ebpf.MapSpec{Name: "lan_pause", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return s, fmt.Errorf("make table of pauses: %w", err)
	}
	s.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "emujail_lan", Type: ebpf.SchedCLS, License: "none", Instructions: s.code(),
	})
	if err != nil {
		return s, fmt.Errorf("load program: %w (the kernel must have bpf_redirect_peer)", err)
	}
	return s, nil
}

// straightOf is that of the LAN of a bridge; nil if it has none.
func straightOf(h *netlink.Handle, bridge netlink.Link) (*straight, error) {
	f, err := straightFilter(h, bridge, netlink.HANDLE_MIN_EGRESS)
	if f == nil || err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(f.Id))
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // the bridge went meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("open program %d of %s: %w", f.Id, bridge.Attrs().Name, err)
	}
	s := &straight{program: program}
	if err := s.openTables(); err != nil {
		s.Close()
		return nil, fmt.Errorf("open tables of program %d: %w", f.Id, err)
	}
	return s, nil
}

// straightFilter is the program's place at a link, nil if it isn't there.
func straightFilter(h *netlink.Handle, l netlink.Link, parent uint32) (*netlink.BpfFilter, error) {
	list, err := h.FilterList(l, parent)
	if err != nil && !isGone(err) {
		return nil, fmt.Errorf("list filters of %s: %w", l.Attrs().Name, err)
	}
	for _, f := range list {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Name == straightName {
			return b, nil
		}
	}
	return nil, nil
}

func (s *straight) openTables() error {
	info, err := s.program.Info()
	if err != nil {
		return err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		switch m.Type() {
		case ebpf.Hash:
			s.ports = m
		case ebpf.Array:
			s.pause = m
		default:
			m.Close()
		}
	}
	if s.ports == nil || s.pause == nil {
		return errors.New("not there")
	}
	return nil
}

// Close closes the descriptors. What stands at ports remains.
func (s *straight) Close() {
	// A close of these fails only for a descriptor that isn't one.
	if s.program != nil {
		_ = s.program.Close()
	}
	if s.ports != nil {
		_ = s.ports.Close()
	}
	if s.pause != nil {
		_ = s.pause.Close()
	}
}

// straighten gives a new port of the bridge the straight way, in both
// directions.
func straighten(h *netlink.Handle, bridge, port netlink.Link, mac MAC) error {
	s, err := straightOf(h, bridge)
	if s == nil && err == nil {
		if s, err = newStraight(); err == nil {
			err = s.attach(h, bridge, netlink.HANDLE_MIN_EGRESS)
		}
	}
	if s != nil {
		defer s.Close()
	}
	if err != nil {
		return fmt.Errorf("straight ways of %s: %w", bridge.Attrs().Name, err)
	}
	if err := s.attach(h, port, netlink.HANDLE_MIN_INGRESS); err != nil {
		return fmt.Errorf("straight way from %s: %w", port.Attrs().Name, err)
	}
	if err := s.ports.Put(portKey(mac), uint32(port.Attrs().Index)); err != nil {
		return fmt.Errorf("straight way to %s: %w", port.Attrs().Name, err)
	}
	return nil
}

// attach puts the program where frames come in by a link, or leave by it.
func (s *straight) attach(h *netlink.Handle, l netlink.Link, parent uint32) error {
	const need = "the kernel must have clsact and cls_bpf"
	err := h.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("set clsact: %w (%s)", err, need)
	}
	attrs := straightAttrs(l)
	attrs.Parent = parent
	f := &netlink.BpfFilter{FilterAttrs: attrs, Fd: s.program.FD(), Name: straightName, DirectAction: true}
	if err := h.FilterReplace(f); err != nil {
		return fmt.Errorf("attach program: %w (%s)", err, need)
	}
	return nil
}

// straightAttrs is where the program stands at a port.
func straightAttrs(port netlink.Link) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: port.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: straightHandle, Priority: straightPriority, Protocol: unix.ETH_P_ALL,
	}
}

// bend ends the straight way to and from a jail's interface: by the bridge again,
// and whatever stands before it. bridge and port are names; that there is none of
// them, or no straight way, is no error.
func bend(h *netlink.Handle, bridge, port string, mac MAC) error {
	br, err := linkByName(h, bridge)
	if br == nil || err != nil {
		return err
	}
	s, err := straightOf(h, br)
	if s == nil || err != nil {
		return err
	}
	defer s.Close()
	end, err := linkByName(h, port)
	if err != nil {
		return err
	}
	if err := s.forget(h, mac, end); err != nil {
		return fmt.Errorf("end straight way to %s: %w", port, err)
	}
	if end == nil {
		return nil
	}
	there, err := straightFilter(h, end, netlink.HANDLE_MIN_INGRESS)
	if there == nil || err != nil {
		return err
	}
	if err := h.FilterDel(&netlink.BpfFilter{FilterAttrs: straightAttrs(end)}); err != nil && !isGone(err) {
		return fmt.Errorf("end straight way from %s: %w", port, err)
	}
	return nil
}

// forget takes a MAC out of the table, unless it is by now another port's: end is
// the port that had it, nil if it is gone.
func (s *straight) forget(h *netlink.Handle, mac MAC, end netlink.Link) error {
	var index uint32
	err := s.ports.Lookup(portKey(mac), &index)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if end != nil && uint32(end.Attrs().Index) != index {
		return nil
	}
	if end == nil {
		if _, err := h.LinkByIndex(int(index)); err == nil {
			return nil
		}
	}
	if err := s.ports.Delete(portKey(mac)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// ProbeLAN tries what a LAN needs of the kernel for its straight ways, at the
// loopback device of the calling thread's network namespace. It stays there.
func ProbeLAN() error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	s, err := newStraight()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.attach(h, lo, netlink.HANDLE_MIN_INGRESS)
}

func portKey(mac MAC) []byte { return append(mac[:], 0, 0) }

// hearFor is how long one call of hear lasts: whoever listens calls again in
// good time, and if it dies, this is what it leaves.
const hearFor = 2 * time.Second

// hear has everything go by the LAN's bridge for [hearFor], where a listener
// hears it.
func hear(h *netlink.Handle, bridge netlink.Link) error {
	s, err := straightOf(h, bridge)
	if s == nil || err != nil {
		return err
	}
	defer s.Close()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil { // the program's clock
		return err
	}
	if err := s.pause.Put(uint32(0), uint64(now.Nano()+hearFor.Nanoseconds())); err != nil {
		return fmt.Errorf("pause straight ways: %w", err)
	}
	return nil
}

// fixPort has the bridge know which port a MAC is at, for good: by the straight
// way it hears nothing of it, would forget it, and show every port what is for
// this one.
func fixPort(h *netlink.Handle, port netlink.Link, mac MAC) error {
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: port.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP,
		Flags: netlink.NTF_MASTER, HardwareAddr: net.HardwareAddr(mac[:]),
	})
	if err != nil {
		return fmt.Errorf("fix %s at port %s: %w", mac, port.Attrs().Name, err)
	}
	return nil
}

// Offsets in struct __sk_buff and struct bpf_sock (linux/bpf.h).
const (
	skbVLANPresent = 20
	skbIfindex     = 40
	skbData        = 76
	skbDataEnd     = 80
	skbSock        = 168
	sockFamily     = 4
)

// Offsets in a frame: Ethernet, then IPv4.
const (
	frameTo     = 0
	frameFrom   = 6
	frameType   = 12
	frameProto  = 23 // IPv4's
	frameNeeded = 34
)

// The program's stack: a MAC as the table wants it, and the number of the only
// pause.
const (
	stackMAC   = -8
	stackPause = -12
)

// verdictNext leaves a frame to the next filter, and then to the bridge.
const verdictNext = -1

// code is the program. R6 is the frame's context, R7 its bytes. It tells a frame
// that a packet socket made from TCP's own, and leaves it to who judges those.
func (s *straight) code() asm.Instructions {
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R1, asm.R6, skbSock, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "no packet socket"), // the kernel's own, or forwarded
		asm.LoadMem(asm.R2, asm.R1, sockFamily, asm.Word),
		asm.JEq.Imm(asm.R2, unix.AF_PACKET, "next"),

		asm.LoadMem(asm.R2, asm.R6, skbVLANPresent, asm.Word).WithSymbol("no packet socket"),
		asm.JNE.Imm(asm.R2, 0, "next"),
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

		// Does somebody listen?
		asm.StoreImm(asm.R10, stackPause, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, s.pause.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, stackPause),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "next"),
		asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord),
		asm.JEq.Imm(asm.R8, 0, "nobody listens"),
		asm.FnKtimeGetNs.Call(),
		asm.JLT.Reg(asm.R0, asm.R8, "next"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("nobody listens"),
	}
	code = append(code, s.lookUp(frameFrom)...)
	code = append(code,
		asm.LoadMem(asm.R8, asm.R6, skbIfindex, asm.Word),
		asm.JNE.Reg(asm.R0, asm.R8, "next"), // another's MAC
	)
	code = append(code, s.lookUp(frameTo)...)
	return append(code,
		asm.JEq.Reg(asm.R0, asm.R8, "next"),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirectPeer.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, verdictNext).WithSymbol("next"),
		asm.Return(),
	)
}

// lookUp leaves in R0 the port of the MAC at an offset of the frame, or goes on
// to the next filter.
func (s *straight) lookUp(mac int16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R7, mac, asm.Word),
		asm.StoreMem(asm.R10, stackMAC, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, mac+4, asm.Half),
		asm.StoreMem(asm.R10, stackMAC+4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, s.ports.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, stackMAC),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "next"),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.Word),
	}
}
