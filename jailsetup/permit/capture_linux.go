package permit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// Capture is the step that makes capture read-only: what a packet socket sends
// out by one of the jail's links is dropped (S11). The way around, a packet
// socket that skips the queueing layer, is refused by the system call filter.
type Capture struct {
	Links []string // the jail's, by their names inside
}

// String implements [plan.Step].
func (c Capture) String() string {
	return "drop what capture sockets send: " + strings.Join(c.Links, ", ")
}

// Undo implements [plan.Step]: the programs go with the links.
func (c Capture) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step]. It attaches from a thread in the jail's network
// namespace, since a link is known by its number there.
func (c Capture) Do(_ context.Context, s *plan.State) error {
	done := make(chan error, 1)
	go func() {
		// The thread isn't given back: one whose namespace was changed must
		// serve nobody else.
		runtime.LockOSThread()
		done <- c.attachInside(int(s.NetNS.Fd()))
	}()
	return <-done
}

func (c Capture) attachInside(netns int) error {
	if err := unix.Setns(netns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the jail's network namespace: %w", err)
	}
	var errs []error
	for _, name := range c.Links {
		l, err := net.InterfaceByName(name)
		if err == nil {
			err = attach(l.Index, ebpf.SchedCLS, ebpf.AttachTCXEgress, dropInjected())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("link %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Offsets in struct __sk_buff and struct bpf_sock (linux/bpf.h).
const (
	offSkbSock    = 168
	offSockFamily = 4
)

// Verdicts of a tcx program.
const (
	tcxNext = -1
	tcxDrop = 2
)

// dropInjected drops a frame whose socket is a packet socket. Frames of no
// socket at all are the kernel's own, or forwarded.
func dropInjected() asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, offSkbSock, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "next"),
		asm.LoadMem(asm.R2, asm.R1, offSockFamily, asm.Word),
		asm.JNE.Imm(asm.R2, unix.AF_PACKET, "next"),
		asm.Mov.Imm(asm.R0, tcxDrop),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("next"),
		asm.Return(),
	}
}
