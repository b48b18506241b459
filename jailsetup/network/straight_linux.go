package network

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// straight leads TCP over IPv4 from one jail of a LAN to another past the
// bridge: from the host end where a frame arrives straight to the interface
// inside the other jail. It is a program at each host end and, for all of a LAN,
// these tables. What it doesn't know for certain it leaves to the bridge and the
// filters there: all else than TCP, other hosts, shaped interfaces, and frames
// whose source isn't the port's own MAC. So it lets through nothing that the
// filters would not. A port that an older version made has no entry, and goes by
// the bridge.
//
// None of it is pinned. The programs keep the tables, and for whoever needs them
// one stands at the bridge, where its own device sends, which it never does: it
// has no address.
type straight struct {
	ports *ebpf.Map // MAC, padded to 8 bytes, to the number of the host end
	alive *ebpf.Map // the host ends that are there: who goes, the kernel takes out
	pause *ebpf.Map // one value: until when all goes by the bridge; see pauseNow
}

// maxPorts is what a bridge of the kernel's may have.
const maxPorts = 1023

// keptAt is the place at a bridge that keeps its LAN's tables.
func keptAt() Place {
	p := placeStraight
	p.Parent = netlink.HANDLE_MIN_EGRESS
	return p
}

// newStraight makes a LAN's tables.
func newStraight() (s *straight, err error) {
	s = &straight{}
	// Without an undo, as when no supervisor runs, a port's MAC stays in the table
	// of ports, and may be another host's by now: hence that of what is alive.
	for _, m := range [...]struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&s.ports, ebpf.MapSpec{Name: "lan_ports", Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: maxPorts, Flags: unix.BPF_F_NO_PREALLOC}},
		{&s.alive, ebpf.MapSpec{Name: "lan_alive", Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: maxPorts}},
		{&s.pause, ebpf.MapSpec{Name: "lan_pause", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			s.Close()
			return nil, fmt.Errorf("make table %s: %w", m.spec.Name, err)
		}
	}
	return s, nil
}

// straightOf is that of the LAN of a bridge; nil if it has none.
func straightOf(h *netlink.Handle, bridge netlink.Link) (*straight, error) {
	f, err := keptAt().Find(h, bridge)
	if f == nil || err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(f.Id))
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // the bridge went meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("open program %d of %s: %w", f.Id, bridge.Attrs().Name, err)
	}
	defer program.Close()
	s := &straight{}
	if err := s.openTables(program); err != nil {
		s.Close()
		return nil, fmt.Errorf("open tables of program %d: %w", f.Id, err)
	}
	return s, nil
}

func (s *straight) openTables(program *ebpf.Program) error {
	info, err := program.Info()
	if err != nil {
		return err
	}
	ids, ok := info.MapIDs()
	if !ok {
		return errors.New("the kernel doesn't tell which it has")
	}
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		switch m.Type() {
		case ebpf.Hash:
			s.ports = m
		case ebpf.DevMapHash:
			s.alive = m
		case ebpf.Array:
			s.pause = m
		default:
			m.Close()
		}
	}
	if s.ports == nil || s.alive == nil || s.pause == nil {
		return fmt.Errorf("it has %d, not those of ports, of devices and of pauses", len(ids))
	}
	return nil
}

// Close closes the descriptors, of a nil straight none. What stands at links
// remains.
func (s *straight) Close() {
	if s == nil {
		return
	}
	for _, m := range [...]*ebpf.Map{s.ports, s.alive, s.pause} {
		if m != nil {
			_ = m.Close() // fails only for a descriptor that isn't one
		}
	}
}

// attach puts the program of a port with this MAC in its place at a link.
func (s *straight) attach(h *netlink.Handle, at Place, l netlink.Link, mac MAC) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: at.Name, Type: ebpf.SchedCLS, License: "none", Instructions: s.code(mac),
	})
	if err != nil {
		return fmt.Errorf("load program: %w (the kernel must have bpf_redirect_peer)", err)
	}
	defer program.Close()
	return at.Attach(h, l, program)
}

// straighten gives a new port of the bridge the straight way, in both
// directions. The caller holds the lock.
func straighten(h *netlink.Handle, bridge, port netlink.Link, mac MAC) error {
	s, err := straightOf(h, bridge)
	if s == nil && err == nil {
		if s, err = newStraight(); err == nil {
			err = s.attach(h, keptAt(), bridge, MAC{})
		}
	}
	defer s.Close()
	if err != nil {
		return fmt.Errorf("straight ways of %s: %w", bridge.Attrs().Name, err)
	}
	if err := s.attach(h, placeStraight, port, mac); err != nil {
		return fmt.Errorf("straight way from %s: %w", port.Attrs().Name, err)
	}
	index := uint32(port.Attrs().Index)
	if err := errors.Join(s.alive.Put(index, index), s.ports.Put(portKey(mac), index)); err != nil {
		return fmt.Errorf("straight way to %s: %w", port.Attrs().Name, err)
	}
	return nil
}

// bend ends the straight way to and from a jail's interface: its frames go by
// the bridge, and by whatever stands before it. The caller holds the lock.
func bend(h *netlink.Handle, bridge string, port netlink.Link, mac MAC) error {
	if err := placeStraight.Remove(h, port); err != nil {
		return fmt.Errorf("end straight way from %s: %w", port.Attrs().Name, err)
	}
	return leaveLAN(h, bridge, port.Attrs().Name, mac)
}

// leaveLAN ends the straight way to a jail's interface. That there is no such
// bridge, port or way is no error. The caller holds the lock.
func leaveLAN(h *netlink.Handle, bridge, port string, mac MAC) error {
	br, err := linkByName(h, bridge)
	if br == nil || err != nil {
		return err
	}
	s, err := straightOf(h, br)
	if s == nil || err != nil {
		return err
	}
	defer s.Close()
	if err := s.forget(h, port, mac); err != nil {
		return fmt.Errorf("end straight way to %s: %w", port, err)
	}
	return nil
}

// forget takes a MAC out of the table, unless it is by now another port's.
func (s *straight) forget(h *netlink.Handle, port string, mac MAC) error {
	var index uint32
	err := s.ports.Lookup(portKey(mac), &index)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := h.LinkByIndex(int(index))
	if gone := (netlink.LinkNotFoundError{}); err != nil && !errors.As(err, &gone) && !isGone(err) {
		return err
	}
	if err == nil && l.Attrs().Name != port {
		return nil
	}
	err = s.ports.Delete(portKey(mac))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

func portKey(mac MAC) []byte { return append(mac[:], 0, 0) }

// pauseFor is how long one call of pauseNow lasts: whoever listens calls
// again in good time, and if it dies, this is what it leaves.
const pauseFor = 2 * time.Second

// pauseNow has everything go by the LAN's bridge for [pauseFor], where a
// listener hears it.
func (s *straight) pauseNow() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil { // the program's clock
		return err
	}
	if err := s.pause.Put(uint32(0), uint64(now.Nano()+pauseFor.Nanoseconds())); err != nil {
		return fmt.Errorf("pause straight ways: %w", err)
	}
	return nil
}

// ProbeLAN tries what a LAN needs of the kernel for its straight ways, at the
// loopback device of the calling thread's network namespace. It stays there.
func ProbeLAN() error {
	h, err := newRouteHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	s, err := newStraight()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.attach(h, placeStraight, lo, MAC{})
}
