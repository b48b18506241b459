package network

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// HostEnd is the end of a jail's interface that the jail can't reach.
type HostEnd struct {
	Inside string // what the interface is called inside, for people
	runDir string
	pin    string // its namespace
	name   string
}

// HostEnd of the control interface.
func (s ControlLink) HostEnd() (HostEnd, error) {
	name, err := hostEnd(s.VNode, 0, s.Generation)
	return HostEnd{Inside: s.name(), runDir: s.Control.RunDir, pin: controlPin, name: name}, err
}

// HostEnd of the interface.
func (s ExperimentLink) HostEnd() (HostEnd, error) {
	name, err := hostEnd(s.VNode, s.Index, s.Generation)
	return HostEnd{Inside: s.Name, runDir: s.RunDir, pin: experimentPin(s.Experiment), name: name}, err
}

// In runs f on a thread in the end's namespace, with a handle on it.
func (e HostEnd) In(f func(h *netlink.Handle, l netlink.Link) error) error {
	ns, err := openPin(e.runDir, e.pin)
	if err != nil {
		return fmt.Errorf("open namespace of %s: %w", e.name, err)
	}
	defer ns.Close()
	return withRoutes(ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName(e.name)
		if err != nil {
			return fmt.Errorf("find %s: %w", e.name, err)
		}
		return f(h, l)
	})
}
