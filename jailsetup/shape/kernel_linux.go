package shape

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

// Handles of the qdiscs on an end, so that each is found again and changed in
// place: its queue stays.
var (
	netemHandle = netlink.MakeHandle(2, 0)
	tbfHandle   = netlink.MakeHandle(1, 0)
	fifoHandle  = netlink.MakeHandle(3, 0)
)

const (
	// burstTime is what the token bucket holds, in time at the rate: less, and a
	// late timer costs rate; more, and large frames pass uncut.
	burstTime = 500 * time.Microsecond
	// minBurst holds the largest frame of the usual MTU.
	minBurst = 2000
	// fullFrame is a frame of the usual MTU with its Ethernet header.
	fullFrame = 1514
	// netemLimit is how many packets may wait in netem; the rate bounds them
	// before.
	netemLimit = 100_000
)

// burst is the size of the token bucket in bytes.
func burst(kbit int) int {
	return max(minBurst, int(float64(kbit)*1000/8*burstTime.Seconds()))
}

// fifo is the queue's kind and length. Where the bucket holds several full
// frames, frames cut by the device (GSO) pass it whole; there a queue of packets
// is counted in bytes, as so many full ones.
func (q Queue) fifo(kbit int) (kind string, limit int) {
	switch {
	case q.Bytes > 0:
		return "bfifo", q.Bytes
	case burst(kbit) >= 2*fullFrame:
		return "bfifo", q.slots() * fullFrame
	}
	return "pfifo", q.slots()
}

// setKernel gives the link's two ends their qdiscs. byNode: delay and loss are
// the delay node's. It runs in the experiment's namespace.
func setKernel(h *netlink.Handle, e network.SpliceEnds, b Both, byNode bool) error {
	for _, end := range [...]struct {
		name  string
		shape Shape
	}{{e.Jail, b.In}, {e.LAN, b.Out}} {
		l, err := h.LinkByName(end.name)
		if err != nil {
			return fmt.Errorf("find %s: %w", end.name, err)
		}
		if err := setQueue(h, l, end.shape, byNode); err != nil {
			return fmt.Errorf("shape %s to %s: %w", end.name, end.shape, err)
		}
	}
	return nil
}

func setQueue(h *netlink.Handle, l netlink.Link, s Shape, byNode bool) error {
	index := l.Attrs().Index
	parent := uint32(netlink.HANDLE_ROOT)
	late := !byNode && (s.Delay > 0 || s.Jitter > 0 || s.Loss > 0)
	if late {
		if err := h.QdiscReplace(netemOf(index, s)); err != nil {
			return fmt.Errorf("set netem: %w", err)
		}
		parent = netlink.MakeHandle(2, 1)
	}
	if s.Rate == 0 {
		return clearQueue(h, l, late)
	}
	kind, limit := s.Queue.fifo(s.Rate)
	rate := uint64(s.Rate) * 1000 / 8
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: tbfHandle, Parent: parent},
		Rate:       rate,
		Limit:      uint32(max(limit, minBurst)), // of a queue that the next one replaces
		Buffer:     netlink.Xmittime(rate, uint32(burst(s.Rate))),
	}
	if err := h.QdiscReplace(tbf); err != nil {
		return fmt.Errorf("set tbf: %w", err)
	}
	return setFIFO(index, kind, limit)
}

// clearQueue takes the rate away; with netem kept, that one's own.
func clearQueue(h *netlink.Handle, l netlink.Link, late bool) error {
	list, err := h.QdiscList(l)
	if err != nil {
		return fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range list {
		a := q.Attrs()
		top := a.Parent == netlink.HANDLE_ROOT && a.Handle != 0 && !late
		inner := a.Handle == tbfHandle && late && a.Parent != netlink.HANDLE_ROOT
		if top || inner {
			if err := h.QdiscDel(q); err != nil {
				return fmt.Errorf("take qdisc %s away: %w", q.Type(), err)
			}
		}
	}
	return nil
}

func netemOf(index int, s Shape) *netlink.Netem {
	return netlink.NewNetem(
		netlink.QdiscAttrs{LinkIndex: index, Handle: netemHandle, Parent: netlink.HANDLE_ROOT},
		netlink.NetemQdiscAttrs{
			Latency: uint32(s.Delay.Microseconds()), Jitter: uint32(s.Jitter.Microseconds()),
			Loss: float32(s.Loss * 100), Limit: netemLimit,
		})
}

// setFIFO puts the queue of packets (pfifo) or bytes (bfifo) below the tbf of
// the device, in the calling thread's namespace. The library has no words for
// it.
func setFIFO(index int, kind string, limit int) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{
		Family: nl.FAMILY_ALL, Ifindex: int32(index),
		Handle: fifoHandle, Parent: netlink.MakeHandle(1, 1),
	})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)))
	req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, nl.Uint32Attr(uint32(limit))))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if errors.Is(err, unix.EINVAL) {
		// The other kind is there under this handle: it must go first.
		del := nl.NewNetlinkRequest(unix.RTM_DELQDISC, unix.NLM_F_ACK)
		del.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index), Handle: fifoHandle, Parent: netlink.MakeHandle(1, 1)})
		if _, err := del.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return fmt.Errorf("replace queue: %w", err)
		}
		_, err = req.Execute(unix.NETLINK_ROUTE, 0)
	}
	if err != nil {
		return fmt.Errorf("set %s of %d: %w", kind, limit, err)
	}
	return nil
}

// carryByKernel makes each end's incoming frames leave by the other one.
func carryByKernel(h *netlink.Handle, e network.SpliceEnds) error {
	jail, err := h.LinkByName(e.Jail)
	if err != nil {
		return fmt.Errorf("find %s: %w", e.Jail, err)
	}
	lan, err := h.LinkByName(e.LAN)
	if err != nil {
		return fmt.Errorf("find %s: %w", e.LAN, err)
	}
	return errors.Join(redirect(h, jail, lan), redirect(h, lan, jail))
}

func redirect(h *netlink.Handle, from, to netlink.Link) error {
	there, err := redirects(h, from)
	if err == nil && len(there) > 0 {
		return nil
	}
	in := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: from.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS,
	}}
	if err := h.QdiscAdd(in); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("set ingress of %s: %w", from.Attrs().Name, err)
	}
	all := &netlink.U32{
		FilterAttrs: redirectAttrs(from),
		RedirIndex:  to.Attrs().Index,
	}
	if err := h.FilterAdd(all); err != nil {
		return fmt.Errorf("redirect %s to %s: %w", from.Attrs().Name, to.Attrs().Name, err)
	}
	return nil
}

// redirectAttrs is where a redirection stands.
func redirectAttrs(end netlink.Link) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: end.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 2, Protocol: unix.ETH_P_ALL,
	}
}

// redirects are the filters of [redirect]'s on an end. Before them a jail's host
// end may have one that drops (package permit), on a qdisc of its own kind.
func redirects(h *netlink.Handle, end netlink.Link) ([]netlink.Filter, error) {
	list, err := h.FilterList(end, netlink.HANDLE_MIN_INGRESS)
	return slices.DeleteFunc(list, func(f netlink.Filter) bool { return f.Type() != "u32" }), err
}

// uncarry ends what [carryByKernel] began.
func uncarry(h *netlink.Handle, e network.SpliceEnds) error {
	for _, name := range [...]string{e.Jail, e.LAN} {
		l, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		list, err := h.QdiscList(l)
		if err != nil {
			return fmt.Errorf("list qdiscs of %s: %w", name, err)
		}
		for _, q := range list {
			if q.Type() == "ingress" {
				if err := h.QdiscDel(q); err != nil {
					return fmt.Errorf("take ingress of %s away: %w", name, err)
				}
			}
		}
		there, err := redirects(h, l)
		if err == nil && len(there) > 0 {
			err = h.FilterDel(&netlink.U32{FilterAttrs: redirectAttrs(l)})
		}
		if err != nil {
			return fmt.Errorf("end redirection of %s: %w", name, err)
		}
	}
	return nil
}

// queueDrops is what an end's qdiscs have dropped.
func queueDrops(h *netlink.Handle, name string) (uint64, error) {
	l, err := h.LinkByName(name)
	if err != nil {
		return 0, err
	}
	list, err := h.QdiscList(l)
	if err != nil {
		return 0, err
	}
	for _, q := range list {
		if a := q.Attrs(); a.Parent == netlink.HANDLE_ROOT && a.Statistics != nil && a.Statistics.Queue != nil {
			return uint64(a.Statistics.Queue.Drops), nil
		}
	}
	return 0, nil
}

// withRoutes runs f in the experiment's namespace with a handle on it.
func withRoutes(s network.Splice, f func(h *netlink.Handle) error) error {
	return network.InExperiment(s.RunDir, s.Experiment, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open route socket: %w", err)
		}
		defer h.Close()
		if err := h.SetSocketTimeout(10 * time.Second); err != nil {
			return err
		}
		return f(h)
	})
}

// probeNetem finds out whether this kernel has netem, on a loopback device of a
// network namespace of its own.
func probeNetem() (bool, error) {
	const loopback = 1
	err := network.InNew(func() error {
		return netlink.QdiscReplace(netemOf(loopback, Shape{Delay: time.Millisecond}))
	})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return false, nil
	}
	return false, fmt.Errorf("probe for netem: %w", err)
}
