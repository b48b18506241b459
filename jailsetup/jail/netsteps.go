package jail

import (
	"fmt"
	"net/netip"
	"slices"

	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs/tree"
	"emujail/jailsetup/shape"
)

// wires is a jail's network: the steps that make it while the first process
// waits, and what people should know of it.
type wires struct {
	early  plan.Step // needs no first process: done beside its start; or nil
	steps  []plan.Step
	ends   []network.HostEnd // of its interfaces
	shaped []string          // those that are, by their names inside
	// missing is what boss asks for and the site bears to be without.
	missing []string
}

func (w wires) notes() []string {
	var notes []string
	for _, m := range w.missing {
		notes = append(notes, "not provided: "+m)
	}
	return notes
}

// wires plans the jail's network.
func (h *Host) wires(r Record, w Wish) (wires, error) {
	links, err := h.Site.experimentLinks(w)
	if err != nil {
		return wires{}, err
	}
	tunnels, missing, err := h.tunnelLinks(w, len(links))
	if err != nil {
		return wires{}, err
	}
	links = append(links, tunnels...)
	routes, err := w.routes(links)
	if err != nil {
		return wires{}, err
	}
	all := wires{steps: h.controlSteps(r, w), missing: append(missing, w.homeless(links)...)}
	if len(links) > 0 {
		all.early = network.ExperimentNamespace{RunDir: h.Site.Run, Experiment: experimentName(w)}
	}
	all.steps = append(all.steps, h.experimentSteps(r, w, links)...)
	if err := all.note(all.steps); err != nil {
		return wires{}, err
	}
	if len(routes) > 0 {
		all.steps = append(all.steps, network.Routes{Control: h.Network, Type: w.Routing.Type, List: routes})
	}
	return all, nil
}

// homeless are the addresses that boss says are the jail's (IPADDRS) and none of
// its interfaces has, in words.
func (w Wish) homeless(links []network.ExperimentLink) (missing []string) {
	for _, a := range w.Jail.IPAddrs {
		if !slices.ContainsFunc(links, func(l network.ExperimentLink) bool {
			return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr() == a })
		}) {
			missing = append(missing, fmt.Sprintf("address %s of IPADDRS (no interface has it)", a))
		}
	}
	return missing
}

// note takes from the steps what permissions are enforced at.
func (w *wires) note(steps []plan.Step) error {
	for _, s := range steps {
		switch s := s.(type) {
		case interface {
			HostEnd() (network.HostEnd, error)
		}:
			end, err := s.HostEnd()
			if err != nil {
				return err
			}
			w.ends = append(w.ends, end)
		case shape.Step:
			if !s.Link.Shape.Plain() {
				w.shaped = append(w.shaped, s.Link.Interface)
			}
		}
	}
	return nil
}

// experimentName is an experiment's, as the network steps know it.
func experimentName(w Wish) string { return w.Status.PID + "/" + w.Status.EID }

// group is the device group of the jail's links.
func (r Record) group() uint32 { return uint32(r.IDBase / tree.IDCount) }

// controlSteps make the namespace's settings and the control interface.
func (h *Host) controlSteps(r Record, w Wish) []plan.Step {
	control := network.ControlLink{
		Control: h.Network, VNode: r.VNode, Experiment: experimentName(w),
		Addr: r.inside(), Generation: uint64(r.Boot), Group: r.group(),
	}
	inside := network.Inside{IDBase: uint32(r.IDBase), Forward: w.forwards()}
	if w.sharesAddress() { // CTRLMAC is the host's then
		low, high := uint16(r.PortLow), uint16(r.PortHigh)
		inside.PortLow, inside.PortHigh = low, high
		share := network.SharedAddress{Control: h.Network, VNode: r.VNode, Addr: r.Private, Low: low, High: high}
		return []plan.Step{inside, share, control}
	}
	if mac, err := network.ParseMAC(w.Jail.CtrlMAC); err == nil {
		control.MAC = mac
	}
	return []plan.Step{inside, control}
}

// experimentSteps make the interfaces of the experiment.
func (h *Host) experimentSteps(r Record, w Wish, links []network.ExperimentLink) []plan.Step {
	experiment := experimentName(w)
	var steps []plan.Step
	for _, l := range links {
		l.RunDir, l.Experiment, l.VNode = h.Site.Run, experiment, r.VNode
		l.Generation, l.Group = uint64(r.Boot), r.group()
		steps = append(steps, l, h.shapeStep(w, l))
	}
	return steps
}
