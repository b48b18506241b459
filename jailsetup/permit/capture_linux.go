package permit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
)

// Capture is the step that makes capture read-only: what a packet socket sends
// out by one of the jail's links is dropped where it arrives, at the link's host
// end (S11), out of the jail's reach. What would come there as something else is
// refused by the system call filter: a packet socket that hands over a frame to
// be cut in pieces, which are no socket's any more, and one that skips the
// queueing layer.
type Capture struct {
	Ends []network.HostEnd
}

// String implements [plan.Step].
func (c Capture) String() string {
	var names []string
	for _, e := range c.Ends {
		names = append(names, e.Inside)
	}
	return "drop what capture sockets send: " + strings.Join(names, ", ")
}

// Undo implements [plan.Step]: the filters go with the links.
func (c Capture) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (c Capture) Do(context.Context, *plan.State) error {
	prog, err := load(ebpf.SchedCLS, ebpf.AttachTCXIngress, dropInjected())
	if err != nil {
		return err
	}
	defer prog.Close()
	var errs []error
	for _, e := range c.Ends {
		err := e.In(func(h *netlink.Handle, l netlink.Link) error { return network.PlaceCapture().Attach(h, l, prog) })
		if err != nil {
			errs = append(errs, fmt.Errorf("filter what %s sends: %w", e.Inside, err))
		}
	}
	return errors.Join(errs...)
}

// CaptureInside is the step that drops it where it leaves, for links that are
// shaped: what stands at their host end may take a frame before a filter there
// sees it.
type CaptureInside struct {
	Links []string // the jail's, by their names inside
}

// String implements [plan.Step].
func (c CaptureInside) String() string {
	return "drop what capture sockets send, inside: " + strings.Join(c.Links, ", ")
}

// Undo implements [plan.Step]: the programs go with the links.
func (c CaptureInside) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (c CaptureInside) Do(_ context.Context, s *plan.State) error { return c.Attach(s.NetNS) }

// Attach does it in a network namespace, given as such or as a process that is
// in it (a pidfd). Links that have the program keep it.
func (c CaptureInside) Attach(where *os.File) error {
	return network.In(where, c.attachInside)
}

// attachInside runs on a thread in the jail's network namespace, since a link is
// known by its number there.
func (c CaptureInside) attachInside() error {
	var errs []error
	for _, name := range c.Links {
		l, err := net.InterfaceByName(name)
		if err == nil {
			err = attachOnce(l.Index)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("link %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func attachOnce(index int) error {
	there, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		return fmt.Errorf("list programs: %w", err)
	}
	if len(there.Programs) > 0 {
		return nil // ours: nobody inside can attach one
	}
	return attach(index, ebpf.SchedCLS, ebpf.AttachTCXEgress, dropInjected())
}

// verdictDrop is the verdict of a program on a link that drops a frame, for
// cls_bpf and tcx.
const verdictDrop = 2

// dropInjected drops a frame whose socket is a packet socket.
func dropInjected() asm.Instructions {
	return slices.Concat(network.IfPacketSocket("drop", "next"), asm.Instructions{
		asm.Mov.Imm(asm.R0, network.VerdictNext).WithSymbol("next"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, verdictDrop).WithSymbol("drop"),
		asm.Return(),
	})
}
