package jail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"emujail/jailsetup/network"
)

// A jail has a place on the control network: an address of its own (JAILIP), or
// a range of ports of the host's address and a private one behind it
// (PORTRANGE; jail.md §2.4). Boss says which.

// sharesAddress tells whether the vnode has no address of its own.
func (w Wish) sharesAddress() bool { return !w.Jail.JailIP.IsValid() }

// settle fills in the record's place. For a jail that shares the host's
// address it looks at all other records: the caller holds the reservation.
func (h *Host) settle(r Record, w Wish) (Record, error) {
	if r = r.atOwnAddress(w); !w.sharesAddress() {
		return r, nil
	}
	if err := checkPorts(w); err != nil {
		return r, err
	}
	if low, high := w.Jail.PortLow, w.Jail.PortHigh; len(h.Site.Peers) > 0 && low <= network.LinkPort && network.LinkPort <= high {
		return r, fmt.Errorf("PORTRANGE %d,%d has port %d, by which LANs go on at other hosts (peers: in the site file)", low, high, network.LinkPort)
	}
	r.PortLow, r.PortHigh = w.Jail.PortLow, w.Jail.PortHigh
	r.Address, r.SSHDPort = h.Network.Address.String(), cmp.Or(w.Jail.SSHDPort, r.PortLow)
	others, err := h.sharers(r.VNode)
	if err != nil {
		return r, err
	}
	for _, o := range others {
		if o.Phase != Down && o.PortLow <= r.PortHigh && r.PortLow <= o.PortHigh {
			return r, fmt.Errorf("PORTRANGE %d,%d overlaps that of %s (%d,%d): jails that share a host's address need ranges of their own",
				r.PortLow, r.PortHigh, o.VNode, o.PortLow, o.PortHigh)
		}
	}
	if err := h.checkListeners(r); err != nil {
		return r, err
	}
	r.Private, err = freePrivate(h.Network, others)
	return r, err
}

// firstPersonUID is the first uid of people; those below it are the system's.
const firstPersonUID = 1000

// checkListeners says which of the jail's ports the host itself uses: what comes
// to them would go to the jail from then on. A program of somebody who only works
// on the host has no right to them, and keeps no jail from booting.
func (h *Host) checkListeners(r Record) error {
	found, err := network.ListenersAt(h.Network.Address, uint16(r.PortLow), uint16(r.PortHigh))
	if err != nil {
		return fmt.Errorf("look who listens on this host: %w", err)
	}
	for _, l := range found {
		if l.UID < firstPersonUID {
			return fmt.Errorf("PORTRANGE %d,%d: this host itself listens on %s at %s: end that program, or let it listen elsewhere",
				r.PortLow, r.PortHigh, l.Port, l.Addr)
		}
		h.Log.Warn("a port of the jail's was a user's of this host: it hears nothing from now on",
			"vnode", r.VNode, "port", l.Port, "uid", l.UID)
	}
	return nil
}

// atOwnAddress fills in what a record says if the vnode has an address of its
// own, and takes out what it said if it hasn't.
func (r Record) atOwnAddress(w Wish) Record {
	r.Private, r.PortLow, r.PortHigh = netip.Addr{}, 0, 0
	r.Address, r.SSHDPort = "", 0
	if !w.sharesAddress() {
		r.Address, r.SSHDPort = w.Jail.JailIP.String(), ownSSHDPort
	}
	return r
}

// ownSSHDPort is where sshd listens at an address of the jail's own.
const ownSSHDPort = 22

// lowestPort is the first port of a range that may be shared.
const lowestPort = 1024

// checkPorts says what keeps the vnode from sharing the host's address. A
// range is mandatory then; boss sends 0,65535 for an experiment without one,
// which would take the host's own ports.
func checkPorts(w Wish) error {
	low, high := w.Jail.PortLow, w.Jail.PortHigh
	switch {
	case high == 0:
		return errors.New("tmcd gives this vnode neither a control address of its own (JAILIP) nor ports of the host's (PORTRANGE)")
	case low < lowestPort:
		return fmt.Errorf("PORTRANGE %d,%d: a jail without an address of its own (JAILIP) needs a range of the experiment's, from %d up; the others are the host's", low, high, lowestPort)
	case w.Jail.SSHDPort != 0 && (w.Jail.SSHDPort < low || w.Jail.SSHDPort > high):
		return fmt.Errorf("SSHDPORT %d lies outside PORTRANGE %d,%d: sshd couldn't listen there", w.Jail.SSHDPort, low, high)
	}
	return nil
}

// sharers are the records of the other jails that have a private address.
func (h *Host) sharers(vnode string) ([]Record, error) {
	names, err := h.Site.List()
	if err != nil {
		return nil, err
	}
	var list []Record
	for _, name := range names {
		if name == vnode {
			continue
		}
		r, err := h.Site.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Private.IsValid() {
			list = append(list, r)
		}
	}
	return list, nil
}

// freePrivate is the lowest address of the pool that no record has. The
// prefix's first is nobody's.
func freePrivate(c network.Control, others []Record) (netip.Addr, error) {
	taken := map[netip.Addr]bool{}
	for _, o := range others {
		taken[o.Private] = true
	}
	for a := c.Pool.Masked().Addr().Next(); c.Pool.Contains(a); a = a.Next() {
		if !taken[a] {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no private address is left in %s (site file: control: pool)", c.Pool)
}

// reservePlace settles a place that needs others' records, and writes it down.
func (h *Host) reservePlace(r Record, w Wish) (Record, error) {
	h.reserve <- struct{}{}
	defer func() { <-h.reserve }()
	if !w.sharesAddress() {
		return r, h.checkAddress(r)
	}
	settled, err := h.settle(r, w)
	if err != nil {
		return r, err
	}
	return settled, h.Site.Save(settled)
}

// checkAddress says whose the address of the vnode's own is already. The filters
// know a jail by it: two that had the same would be one to them, and the end of
// one would take the other's away.
func (h *Host) checkAddress(r Record) error {
	names, err := h.Site.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == r.VNode {
			continue
		}
		o, err := h.Site.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if o.Phase != Down && !o.Private.IsValid() && o.Address == r.Address {
			return fmt.Errorf("JAILIP %s is that of %s, which is %s", r.Address, o.VNode, o.Phase)
		}
	}
	return nil
}

// inside is the address of the jail's control interface.
func (r Record) inside() netip.Addr {
	if r.Private.IsValid() {
		return r.Private
	}
	a, _ := netip.ParseAddr(r.Address) // settled by us
	return a
}
