package jail

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/protocol"
)

// networkSteps wires the jail while its first process waits.
func (h *Host) networkSteps(r Record, w Wish, links []network.ExperimentLink) []plan.Step {
	experiment := w.Status.PID + "/" + w.Status.EID
	generation, group := uint64(r.Boot), uint32(r.IDBase/idCount)
	control := network.ControlLink{
		Control: h.Network, VNode: r.VNode, Experiment: experiment,
		Addr: r.inside(), Generation: generation, Group: group,
	}
	inside := network.Inside{IDBase: uint32(r.IDBase), Forward: w.Jail.Routing}
	var steps []plan.Step
	if low, high := uint16(r.PortLow), uint16(r.PortHigh); w.sharesAddress() {
		// CTRLMAC is the host's then.
		inside.PortLow, inside.PortHigh = low, high
		share := network.SharedAddress{Control: h.Network, VNode: r.VNode, Addr: r.Private, Low: low, High: high}
		steps = []plan.Step{inside, share, control}
	} else {
		if mac, err := network.ParseMAC(w.Jail.CtrlMAC); err == nil {
			control.MAC = mac
		}
		steps = []plan.Step{inside, control}
	}
	if len(links) > 0 {
		steps = append(steps, network.ExperimentNamespace{RunDir: h.Site.Run, Experiment: experiment})
	}
	for _, l := range links {
		l.RunDir, l.Experiment, l.VNode = h.Site.Run, experiment, r.VNode
		l.Generation, l.Group = generation, group
		steps = append(steps, l)
	}
	return steps
}

// experimentLinks makes of the ifconfig records the links of the experiment,
// in an order that doesn't depend on the database's: eth1 is the first by LAN,
// then by address.
func experimentLinks(w Wish) ([]network.ExperimentLink, error) {
	virtual := slices.DeleteFunc(slices.Clone(w.Interfaces), func(i protocol.Interface) bool { return !i.Virtual })
	slices.SortFunc(virtual, func(a, b protocol.Interface) int {
		return cmp.Or(cmp.Compare(a.LAN, b.LAN), cmp.Compare(a.INET, b.INET))
	})
	var links []network.ExperimentLink
	for n, i := range virtual {
		addr, err := addressOf(i)
		if err != nil {
			return nil, err
		}
		mac, err := network.ParseMAC(i.VMAC)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", i.INET, err)
		}
		links = append(links, network.ExperimentLink{
			LAN: i.LAN, Name: "eth" + strconv.Itoa(n+1), Index: n + 1, MAC: mac, Addrs: []netip.Prefix{addr},
		})
	}
	return links, nil
}

func addressOf(i protocol.Interface) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(i.INET)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("interface on %s: %w", i.LAN, err)
	}
	mask, err := netip.ParseAddr(i.Mask)
	if err != nil || !mask.Is4() {
		return netip.Prefix{}, fmt.Errorf("interface %s: mask %q is no IPv4 mask", i.INET, i.Mask)
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return netip.Prefix{}, fmt.Errorf("interface %s: mask %s has holes", i.INET, i.Mask)
	}
	return netip.PrefixFrom(addr, ones), nil
}
