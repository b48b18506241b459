package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

// within runs fn on a thread in the jail's network namespace.
func (f *Facts) within(fn func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", f.Record.PID))
	if err != nil {
		return err
	}
	defer ns.Close()
	return network.In(ns, fn)
}

func networkApart(f *Facts) error {
	if err := f.apart("net"); err != nil {
		return err
	}
	mine, err := nsInode(fmt.Sprintf("/proc/%d/ns/net", f.Record.PID))
	if err != nil {
		return err
	}
	for _, other := range f.Others {
		its, err := nsInode(fmt.Sprintf("/proc/%d/ns/net", other.PID))
		if err == nil && other.PID != 0 && its == mine {
			return fmt.Errorf("the jail is in the network namespace of %s", other.VNode)
		}
	}
	return nil
}

// patience is how long a connection may take; what is refused is refused at once.
const patience = 700 * time.Millisecond

// unreachable wants no answer at a TCP address, tried from the jail's network.
func (f *Facts) unreachable(addr string) error {
	return f.within(func() error {
		d := net.Dialer{Timeout: patience}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			return nil
		}
		c.Close()
		return fmt.Errorf("%s answers from the jail's network", addr)
	})
}

// tmcdPorts are tmcd's (protocol.md §1).
func tmcdPorts() []string { return []string{"7777", "14447"} }

func tmcdUnreachable(f *Facts) error {
	control, err := f.Site.Network()
	if err != nil {
		return err
	}
	hosts := []string{control.Host.String(), control.Gateway.String()}
	for _, boss := range f.Site.Boss {
		host, _, err := net.SplitHostPort(boss)
		if err != nil {
			host = boss
		}
		if _, err := netip.ParseAddr(host); err == nil {
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		for _, port := range tmcdPorts() {
			if err := f.unreachable(net.JoinHostPort(host, port)); err != nil {
				return err
			}
		}
	}
	return f.filters()
}

// hostUnreachable listens at the host's control address, on a port of the
// kernel's choice, and wants no answer to come into the jail's network.
func hostUnreachable(f *Facts) error {
	control, err := f.Site.Network()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(control.Host, 0).String())
	if err != nil {
		return fmt.Errorf("listen at the host's control address: %w", err)
	}
	defer l.Close()
	return f.unreachable(l.Addr().String())
}

// filters wants the host's own tables on the control network, with the jail's
// address in them.
func (f *Facts) filters() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	lines, err := network.Listing(ctx, f.Site.Run)
	if err != nil {
		return fmt.Errorf("list the host's filters: %w", err)
	}
	address := f.Record.Address
	if f.Record.Private.IsValid() {
		address = f.Record.Private.String()
	}
	bridge, inet, known := false, false, false
	for _, line := range lines {
		bridge = bridge || strings.HasPrefix(line, "control: table emujail of family 7")
		inet = inet || strings.HasPrefix(line, "control: table emujail of family 1")
		known = known || strings.HasPrefix(line, "control: set ports: ") && strings.HasSuffix(line, " "+address)
	}
	switch {
	case !bridge:
		return errors.New("the bridge of the control network has no filter")
	case !inet:
		return errors.New("the router of the control network has no filter")
	case !known:
		return fmt.Errorf("the filter of the control network doesn't know %s: it isn't tied to the jail's port and MAC", address)
	}
	return nil
}

func sourcesTied(f *Facts) error {
	if err := f.filters(); err != nil {
		return err
	}
	return f.setting("net/ipv4/ip_nonlocal_bind", "0")
}

// setting wants a value below /proc/sys, in the jail's network namespace.
func (f *Facts) setting(name, want string) error {
	return f.within(func() error {
		text, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			return err
		}
		if got := strings.Join(strings.Fields(string(text)), " "); got != want {
			return fmt.Errorf("%s of the jail is %q, want %q", name, got, want)
		}
		return nil
	})
}

// portsHeld wants the program that refuses ports outside the range.
func portsHeld(f *Facts) error {
	if f.Record.PortHigh == 0 {
		return errNothing{"the jail has an address of its own, and every port of it"}
	}
	cgroup, err := os.Open(f.Record.CgroupDir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	for _, at := range [...]ebpf.AttachType{ebpf.AttachCGroupInet4Bind, ebpf.AttachCGroupInet6Bind} {
		list, err := link.QueryPrograms(link.QueryOptions{Target: int(cgroup.Fd()), Attach: at})
		if err != nil {
			return fmt.Errorf("ask for programs at bind: %w", err)
		}
		if len(list.Programs) == 0 {
			return fmt.Errorf("no program holds what the jail binds (%s)", at)
		}
	}
	return f.setting("net/ipv4/ip_local_port_range", strconv.Itoa(f.Record.PortLow)+" "+strconv.Itoa(f.Record.PortHigh))
}

// loopForwards is where a namespace says whether what comes by its loopback device
// is forwarded.
const loopForwards = "/proc/sys/net/ipv4/conf/lo/forwarding"

// captureHeld wants what captures send to be dropped, at the host's end of each
// link or, of a shaped one, at the jail's, and what they send by the loopback
// device not to be forwarded; of a jail that may capture but not set up links.
func captureHeld(f *Facts) error {
	if !f.holds(unix.CAP_NET_RAW) {
		return nil // it captures nothing
	}
	if f.holds(unix.CAP_NET_ADMIN) {
		return errNothing{"the jail may make links (ROUTING): frames of its own making are held at the host's end (S6)"}
	}
	var links []net.Interface
	programs := map[string]int{}
	err := f.within(func() (err error) {
		if text, err := os.ReadFile(loopForwards); err != nil || strings.TrimSpace(string(text)) != "0" {
			return errors.Join(err, errors.New("what captures send by lo is forwarded (jailsetup reboot)"))
		}
		if links, err = net.Interfaces(); err != nil {
			return err
		}
		for _, l := range links {
			list, err := link.QueryPrograms(link.QueryOptions{Target: l.Index, Attach: ebpf.AttachTCXEgress})
			if err != nil {
				return fmt.Errorf("ask for programs at %.16q: %w", l.Name, err)
			}
			programs[l.Name] = len(list.Programs)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range links {
		var n int
		if _, err := fmt.Sscanf(l.Name, "eth%d", &n); err != nil || programs[l.Name] > 0 {
			continue
		}
		held, err := f.heldOutside(n)
		if err != nil {
			return err
		}
		if !held {
			return fmt.Errorf("nothing holds what captures send by %.16q of the jail", l.Name)
		}
	}
	return nil
}

// heldOutside tells whether permit.Capture's program judges what arrives at the
// host's end of the jail's n-th interface.
func (f *Facts) heldOutside(n int) (bool, error) {
	control, err := f.Site.Network()
	if err != nil {
		return false, err
	}
	boot := uint64(f.Record.Boot)
	end, err := network.ControlLink{Control: control, VNode: f.Record.VNode, Generation: boot}.HostEnd()
	if n > 0 {
		end, err = network.ExperimentLink{RunDir: control.RunDir, Experiment: f.Record.Project + "/" + f.Record.Experiment,
			VNode: f.Record.VNode, Index: n, Generation: boot}.HostEnd()
	}
	if err != nil {
		return false, err
	}
	held := false
	err = end.In(func(h *netlink.Handle, l netlink.Link) error {
		there, err := network.PlaceCapture().Find(h, l)
		held = there != nil
		return err
	})
	return held, err
}

func rawGranted(f *Facts) error {
	if f.holds(unix.CAP_NET_RAW) {
		return errNothing{"the jail has CAP_NET_RAW, by INETRAW=1 or BPFRO=1"}
	}
	return nil
}

func netGranted(f *Facts) error {
	if f.holds(unix.CAP_NET_ADMIN) {
		return errNothing{"the jail has CAP_NET_ADMIN, by ROUTING=1"}
	}
	return nil
}
