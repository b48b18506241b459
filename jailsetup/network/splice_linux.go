package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// spliceStride sets the numbers of an interface's three host ends apart: its
// own, and the two of a splice. A jail with a splice has fewer interfaces.
const spliceStride = (maxIndex + 1) / 3

// Splice is the step that takes a jail's interface off its LAN's bridge and
// puts a veth pair between:
//
//	jail's eth1 ═ Jail   (what forwards)   LAN ═ Port ── bridge
//
// What stands between Jail and LAN decides what crosses, and when: package
// shape. Until something does, nothing crosses. The filter against foreign
// sources stands at Port, as it stood at Jail: before the LAN. It may be done
// while the jail runs, and again after a crash; the undo of [ExperimentLink]
// doesn't bring the interface back to the bridge.
type Splice struct {
	RunDir     string
	Experiment string // "pid/eid"
	LAN        string
	Tag        int // as in [ExperimentLink]
	VNode      string
	Index      int // the interface's, as in [ExperimentLink]
	MAC        MAC
	Addrs      []netip.Prefix
	MTU        int // 0: 1500
	Generation uint64
	Group      uint32
}

// SpliceEnds names the devices of a splice, all in the experiment's namespace.
type SpliceEnds struct {
	Jail string `json:"jail"` // host end of the jail's interface
	LAN  string `json:"lan"`  // the pair's end on this side
	Port string `json:"port"` // its other end, the bridge's port
}

// Ends names the splice's devices.
func (s Splice) Ends() (SpliceEnds, error) {
	if s.Index < 1 || s.Index >= spliceStride {
		return SpliceEnds{}, fmt.Errorf("splice interface %d: want 1 to %d", s.Index, spliceStride-1)
	}
	var e SpliceEnds
	for i, name := range [...]*string{&e.Jail, &e.LAN, &e.Port} {
		var err error
		if *name, err = hostEnd(s.VNode, s.Index+i*spliceStride, s.Generation); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (s Splice) String() string {
	return fmt.Sprintf("splice interface %d of %s: a pair between it and LAN %s", s.Index, s.VNode, s.LAN)
}

// Undo is the pair's name and what lets it send.
func (s Splice) Undo() ([]plan.Undo, error) {
	e, err := s.Ends()
	if err != nil {
		return nil, err
	}
	return oneUndo(KindSplice, experimentLinkUndo{
		RunDir: s.RunDir, Pin: experimentPin(s.Experiment), VNode: s.VNode, Link: e.Port,
		MAC: s.MAC, Addrs: s.Addrs, Group: s.Group,
	})
}

// Do puts the pair in. The jail's host end must be there.
func (s Splice) Do(ctx context.Context, _ *plan.State) error {
	e, err := s.Ends()
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, s.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	ns, err := openPin(s.RunDir, experimentPin(s.Experiment))
	if err != nil {
		return fmt.Errorf("open namespace of experiment %s: %w", s.Experiment, err)
	}
	defer ns.Close()
	err = In(ns, func() error {
		if err := put(newExperimentSets().of(e.Port, s.MAC, s.Addrs)); err != nil {
			return err
		}
		return s.makePair(ctx, ns, e)
	})
	if err != nil {
		return err
	}
	return waitUp(ctx, ns, e.LAN, e.Port)
}

func (s Splice) makePair(ctx context.Context, ns *os.File, e SpliceEnds) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	jail, err := h.LinkByName(e.Jail)
	if err != nil {
		return fmt.Errorf("find host end %s of interface %d: %w", e.Jail, s.Index, err)
	}
	port, err := linkByName(h, e.Port)
	if err != nil {
		return err
	}
	if port == nil {
		if port, err = s.addPair(ctx, h, ns, e); err != nil {
			return err
		}
	}
	far, err := h.LinkByName(e.LAN)
	if err != nil {
		return fmt.Errorf("find %s: %w", e.LAN, err)
	}
	if err := bend(h, lanBridge(s.LAN, s.Tag), jail, s.MAC); err != nil {
		return err
	}
	if err := h.LinkSetNoMaster(jail); err != nil {
		return fmt.Errorf("take %s off its bridge: %w", e.Jail, err)
	}
	for _, l := range []netlink.Link{far, port} {
		if err := h.LinkSetUp(l); err != nil {
			return fmt.Errorf("bring up %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func (s Splice) addPair(ctx context.Context, h *netlink.Handle, ns *os.File, e SpliceEnds) (netlink.Link, error) {
	br, err := ensureLAN(h, s.LAN, s.Tag)
	if err != nil {
		return nil, err
	}
	// The other end has no group: it goes with its peer.
	return addPair(ctx, h, pair{
		name: e.Port, mac: hostEndMAC(e.Port), master: br.Attrs().Index, group: s.Group,
		peer: e.LAN, peerMAC: hostEndMAC(e.LAN), peerNS: ns, mtu: s.MTU,
		alias: fmt.Sprintf("%s splice %d", s.VNode, s.Index),
	})
}

// InExperiment runs f on a thread that is in the experiment's namespace:
// sockets that f opens belong to it. fs.ErrNotExist says that there is none.
func InExperiment(runDir, experiment string, f func() error) error {
	ns, err := openPin(runDir, experimentPin(experiment))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("experiment %s has no link on this host: %w", experiment, err)
		}
		return fmt.Errorf("open namespace of experiment %s: %w", experiment, err)
	}
	defer ns.Close()
	return In(ns, f)
}
