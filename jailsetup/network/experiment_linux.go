package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// ExperimentNamespace is the step that makes an experiment's namespace on this
// host, with its filters. Every jail of the experiment has it in its plan; the
// undo removes the namespace when no jail's link is left in it.
type ExperimentNamespace struct {
	RunDir     string
	Experiment string // "pid/eid"
}

type experimentNamespaceUndo struct {
	RunDir string `json:"run_dir"`
	Pin    string `json:"pin"`
}

func (s ExperimentNamespace) String() string {
	return fmt.Sprintf("make network namespace %s for experiment %s", experimentPin(s.Experiment), s.Experiment)
}

// Undo is the pin's name.
func (s ExperimentNamespace) Undo() ([]plan.Undo, error) {
	return oneUndo(KindExperimentNamespace, experimentNamespaceUndo{RunDir: s.RunDir, Pin: experimentPin(s.Experiment)})
}

// Do makes the namespace, or brings its filters up to date.
func (s ExperimentNamespace) Do(ctx context.Context, _ *plan.State) error {
	unlock, err := lock(ctx, s.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	ns, err := ensureExperiment(s.RunDir, s.Experiment)
	if err != nil {
		return err
	}
	return ns.Close()
}

// ensureExperiment opens the experiment's namespace, made and filtered. The
// caller holds the lock.
func ensureExperiment(runDir, experiment string) (*os.File, error) {
	if experiment == "" {
		return nil, errors.New("make experiment namespace: no experiment")
	}
	ns, _, err := ensurePin(runDir, experimentPin(experiment))
	if err != nil {
		return nil, fmt.Errorf("make namespace of experiment %s: %w", experiment, err)
	}
	err = In(ns, func() error {
		if err := writeSysctls(append(quietSysctls(), sysctl{"ipv4/ip_forward", "0", false})); err != nil {
			return err
		}
		return apply(experimentTables()...)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up namespace of experiment %s: %w", experiment, err), ns.Close())
	}
	return ns, nil
}

func undoExperimentNamespace(ctx context.Context, u experimentNamespaceUndo) error {
	if err := checkPin(u.Pin); err != nil {
		return err
	}
	unlock, err := lock(ctx, u.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	ns, err := openPin(u.RunDir, u.Pin)
	if errors.Is(err, fs.ErrNotExist) {
		return removePin(u.RunDir, u.Pin)
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	var left []string
	err = withRoutes(ns, func(h *netlink.Handle) (err error) {
		left, err = ports(h)
		return err
	})
	if err != nil || len(left) > 0 {
		return err
	}
	return removePin(u.RunDir, u.Pin)
}

func checkPin(pin string) error {
	if !strings.HasPrefix(pin, "x-") || strings.Contains(pin, "/") {
		return fmt.Errorf("experiment namespace %q: not a pin of ours", pin)
	}
	return nil
}

// ExperimentLink is the step that puts a jail on a LAN: an interface inside with
// the MAC that tmcd said, its host end on the LAN's bridge in the experiment's
// namespace. The bridge is made with its first port.
type ExperimentLink struct {
	RunDir     string
	Experiment string
	LAN        string
	Tag        int // of a LAN that is a VLAN: the tag names it, not LAN; 0: none
	VNode      string
	Name       string // inside: eth1, eth2 …
	Index      int    // the interface's number inside, 1 or more, unique in the jail
	MAC        MAC    // VMAC
	Addrs      []netip.Prefix
	MTU        int    // 0: 1500
	Trunk      Trunk  // where else the LAN is
	Generation uint64 // boot serial
	Group      uint32 // device group of this jail's links, unique on the host; 0: none
}

type experimentLinkUndo struct {
	RunDir string         `json:"run_dir"`
	Pin    string         `json:"pin"`
	VNode  string         `json:"vnode"`
	Link   string         `json:"link"`
	MAC    MAC            `json:"mac"`
	Addrs  []netip.Prefix `json:"addrs"`
	Group  uint32         `json:"group,omitempty"`
	LAN    string         `json:"lan,omitempty"`    // its bridge; empty: a splice's undo, which leaves the LAN alone
	Bridge string         `json:"bridge,omitempty"` // the same, if the LAN has a trunk
}

func (s ExperimentLink) String() string {
	words := make([]string, 0, len(s.Addrs))
	for _, a := range s.Addrs {
		words = append(words, a.String())
	}
	text := fmt.Sprintf("make interface %s of %s on LAN %s: %s, MAC %s", s.Name, s.VNode, s.LAN, strings.Join(words, " "), s.MAC)
	if s.Tag != 0 {
		text += fmt.Sprintf(", VLAN %d", s.Tag)
	}
	if s.MTU != 0 {
		text += fmt.Sprintf(", MTU %d", s.MTU)
	}
	if len(s.Trunk.Peers) > 0 {
		text += s.Trunk.words(s.Experiment, lanBridge(s.LAN, s.Tag))
	}
	return text
}

// Undo is the link's name, which nobody else has or gets, and its namespace.
func (s ExperimentLink) Undo() ([]plan.Undo, error) {
	host, err := hostEnd(s.VNode, s.Index, s.Generation)
	if err != nil {
		return nil, err
	}
	u := experimentLinkUndo{
		RunDir: s.RunDir, Pin: experimentPin(s.Experiment), VNode: s.VNode, Link: host,
		MAC: s.MAC, Addrs: s.Addrs, Group: s.Group, LAN: lanBridge(s.LAN, s.Tag),
	}
	if len(s.Trunk.Peers) > 0 {
		u.Bridge = u.LAN
	}
	return oneUndo(KindExperimentLink, u)
}

func (s ExperimentLink) check() error {
	if s.LAN == "" {
		return fmt.Errorf("interface %s: no LAN", s.Name)
	}
	if s.Index < 1 {
		return fmt.Errorf("interface %s: number %d: want 1 or more", s.Name, s.Index)
	}
	if s.MTU != 0 && (s.MTU < 68 || s.MTU > 65535) {
		return fmt.Errorf("interface %s: MTU %d: want 68 to 65535", s.Name, s.MTU)
	}
	if err := checkIfName(s.Name); err != nil {
		return err
	}
	return s.MAC.Validate()
}

// Do makes the link. What may be sent is set before it is there.
func (s ExperimentLink) Do(ctx context.Context, st *plan.State) error {
	if err := errors.Join(s.check(), checkNamespace(st)); err != nil {
		return err
	}
	host, err := hostEnd(s.VNode, s.Index, s.Generation)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, s.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	// Another jail's teardown may have removed it since the step before.
	ns, err := openOrMakeExperiment(s.RunDir, s.Experiment)
	if err != nil {
		return err
	}
	defer ns.Close()
	err = In(ns, func() error {
		if err := put(newExperimentSets().of(host, s.MAC, s.Addrs)); err != nil {
			return err
		}
		return s.makeHostEnd(ctx, host, st)
	})
	if err != nil {
		return err
	}
	if err := s.Trunk.ensure(ns, s.Experiment, lanBridge(s.LAN, s.Tag), s.MTU); err != nil {
		return err
	}
	if err := setUpInside(st.NetNS, s.Name, nil, s.setUp); err != nil {
		return err
	}
	return waitUp(ctx, ns, host)
}

func openOrMakeExperiment(runDir, experiment string) (*os.File, error) {
	ns, err := openPin(runDir, experimentPin(experiment))
	if errors.Is(err, fs.ErrNotExist) {
		return ensureExperiment(runDir, experiment)
	}
	return ns, err
}

func (s ExperimentLink) makeHostEnd(ctx context.Context, host string, st *plan.State) error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	br, err := ensureLAN(h, s.LAN, s.Tag)
	if err != nil {
		return err
	}
	l, err := addPair(ctx, h, pair{
		name: host, mac: hostEndMAC(host), master: br.Attrs().Index, group: s.Group,
		peer: s.Name, peerMAC: s.MAC, peerNS: st.NetNS, mtu: s.MTU,
		alias: s.VNode + " " + s.Name,
	})
	if err != nil {
		return err
	}
	if err := fixPort(h, l, s.MAC); err != nil {
		return err
	}
	if err := straighten(h, br, l, s.MAC); err != nil {
		return err
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", host, err)
	}
	return nil
}

// ensureLAN makes the bridge of a LAN.
func ensureLAN(h *netlink.Handle, lan string, tag int) (netlink.Link, error) {
	name := lanBridge(lan, tag)
	return ensureBridge(h, name, hostEndMAC(name), "LAN "+lan)
}

func (s ExperimentLink) setUp(h *netlink.Handle, l netlink.Link) error {
	for _, a := range s.Addrs {
		if err := addAddress(h, l, a); err != nil {
			return err
		}
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", s.Name, err)
	}
	return nil
}

// leaveLAN ends the straight way to an interface on a LAN; the way from it goes
// with the link.
func (u experimentLinkUndo) leaveLAN(ctx context.Context, h *netlink.Handle) error {
	if u.LAN == "" {
		return nil
	}
	unlock, err := lock(ctx, u.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	return leaveLAN(h, u.LAN, u.Link, u.MAC)
}

func undoExperimentLink(ctx context.Context, u experimentLinkUndo) error {
	if err := checkPin(u.Pin); err != nil {
		return err
	}
	ns, err := openPin(u.RunDir, u.Pin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open experiment namespace: %w", err)
	}
	defer ns.Close()
	err = In(ns, func() error {
		if err := take(newExperimentSets().of(u.Link, u.MAC, u.Addrs)); err != nil {
			return err
		}
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		return errors.Join(u.leaveLAN(ctx, h), deleteJailLinks(ctx, h, u.VNode, u.Link, u.Group))
	})
	if err != nil || u.LAN == "" && u.Bridge == "" {
		return err
	}
	unlock, err := lock(ctx, u.RunDir)
	if err != nil {
		return err
	}
	defer unlock()
	if u.Bridge == "" {
		return removeLoneLAN(ctx, u.RunDir, u.Pin, u.LAN, false)
	}
	if err := removeLoneLAN(ctx, u.RunDir, u.Pin, u.Bridge, true); err != nil {
		return err
	}
	return removePeersTable(u.RunDir)
}
