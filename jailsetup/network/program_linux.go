package network

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Place is where one of our programs stands at a link, and under which name tc
// shows it. Jails go on running while what made them is replaced by a newer
// version: a place keeps its handle.
type Place struct {
	Name   string
	Parent uint32 // netlink.HANDLE_MIN_INGRESS: what comes in by the link; …EGRESS: what leaves by it
	Handle uint32 // its own: a place has one program
}

// The places at a host end. Both programs judge a frame unless one has decided;
// the order doesn't matter: what a packet socket sent, which is all that capture
// drops, the straight way leaves alone.
var (
	placeCapture  = Place{Name: "emujail", Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1}
	placeStraight = Place{Name: "emujail_lan", Parent: netlink.HANDLE_MIN_INGRESS, Handle: 2}
)

// PlaceCapture is package permit's.
func PlaceCapture() Place { return placeCapture }

// Attach has the program judge each frame there, in the stead of one that may be
// there by now. A filter of this kind takes half a millisecond to attach; a
// program of its own on the device (tcx) waits for a grace period, 7 to 13 ms in
// which no other link on the host can be changed.
func (p Place) Attach(h *netlink.Handle, l netlink.Link, program *ebpf.Program) error {
	const need = "the kernel must have clsact and cls_bpf"
	err := h.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("set clsact of %s: %w (%s)", l.Attrs().Name, err, need)
	}
	err = h.FilterReplace(&netlink.BpfFilter{FilterAttrs: p.attrs(l), Fd: program.FD(), Name: p.Name, DirectAction: true})
	if err != nil {
		return fmt.Errorf("attach program to %s: %w (%s)", l.Attrs().Name, err, need)
	}
	return nil
}

// Find is the program that stands there, nil if none does.
func (p Place) Find(h *netlink.Handle, l netlink.Link) (*netlink.BpfFilter, error) {
	list, err := whole(func() ([]netlink.Filter, error) { return h.FilterList(l, p.Parent) })
	if err != nil && !isGone(err) {
		return nil, fmt.Errorf("list filters of %s: %w", l.Attrs().Name, err)
	}
	for _, f := range list {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Handle == p.Handle {
			return b, nil
		}
	}
	return nil, nil
}

// Remove takes the program away, if it stands there.
func (p Place) Remove(h *netlink.Handle, l netlink.Link) error {
	there, err := p.Find(h, l)
	if there == nil || err != nil {
		return err
	}
	if err := h.FilterDel(&netlink.BpfFilter{FilterAttrs: p.attrs(l)}); err != nil && !isGone(err) {
		return fmt.Errorf("take program from %s: %w", l.Attrs().Name, err)
	}
	return nil
}

func (p Place) attrs(l netlink.Link) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: l.Attrs().Index, Parent: p.Parent, Handle: p.Handle, Priority: 1, Protocol: unix.ETH_P_ALL,
	}
}

// VerdictNext is the verdict of a program that leaves a frame to the next filter.
const VerdictNext = -1

// Offsets in struct __sk_buff and struct bpf_sock (linux/bpf.h).
const (
	skbLen         = 0
	skbVLANPresent = 20
	skbIfindex     = 40
	skbData        = 76
	skbDataEnd     = 80
	skbSock        = 168
	sockFamily     = 4
)

// IfPacketSocket branches on who made a frame: to yes if a packet socket did, to
// no if no socket did (the kernel's own, or forwarded); another socket's goes on
// below. It expects the frame's context in R1, and clobbers R1 and R2. A frame
// keeps its socket across a veth pair, so it is known at either end.
func IfPacketSocket(yes, no string) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, skbSock, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, no),
		asm.LoadMem(asm.R2, asm.R1, sockFamily, asm.Word),
		asm.JEq.Imm(asm.R2, unix.AF_PACKET, yes),
	}
}
