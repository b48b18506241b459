package shape

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
	"emujail/jailsetup/shape/delay"
)

// Buffers of a packet socket: what arrives while the node is busy, and what may
// stand in the device's queue, which is bounded by itself.
const (
	receiveBuffer = 8 << 20
	sendBuffer    = 32 << 20
)

// openSockets opens a packet socket on each end, for the delay node.
func openSockets(s network.Splice, e network.SpliceEnds) (jail, lan *os.File, err error) {
	err = network.InExperiment(s.RunDir, s.Experiment, func() error {
		if jail, err = openSocket(e.Jail); err != nil {
			return err
		}
		lan, err = openSocket(e.LAN)
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, closeAll(jail, lan))
	}
	return jail, lan, nil
}

func closeAll(files ...*os.File) error {
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// noTags drops frames with an 802.1Q tag, which the kernel would take off and
// put beside the frame: they would come out without it.
func noTags() []unix.SockFilter {
	const tagPresent = -0x1000 + 48 // SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT
	present := tagPresent
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: uint32(present)},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 24},
	}
}

// openSocket opens a packet socket on the device in the calling thread's
// namespace. It hears nothing before it is set up whole.
func openSocket(device string) (*os.File, error) {
	ifi, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", device, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "packet socket on "+device)
	for _, o := range [...]struct{ level, name, value int }{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, // a frame's delay begins when it comes
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return nil, errors.Join(fmt.Errorf("set option %d of packet socket on %s: %w", o.name, device, err), f.Close())
		}
	}
	filter := noTags()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return nil, errors.Join(fmt.Errorf("filter packet socket on %s: %w", device, err), f.Close())
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet socket to %s: %w", device, err), f.Close())
	}
	return f, nil
}

// nodeLink is what the delay node is told of a link.
func nodeLink(id string, b Both) *delay.Link {
	return &delay.Link{ID: id, Out: pipeOf(b.Out), In: pipeOf(b.In)}
}

func pipeOf(s Shape) delay.Pipe {
	p := delay.Pipe{Delay: s.Delay, Jitter: s.Jitter, Loss: s.Loss, Seed: s.Seed}
	if s.Rate == 0 {
		return p
	}
	p.MaxBytes = waitingBytes(s)
	if r := s.Queue.RED; r != nil {
		limit := s.Queue.slots()
		if s.Queue.Bytes > 0 {
			limit = s.Queue.Bytes
		}
		p.RED = &delay.RED{
			Rate: int64(s.Rate) * 1000, Limit: limit, Bytes: s.Queue.Bytes > 0,
			Min: r.Min, Max: r.Max, Weight: r.Weight, MaxProb: 1 / r.LinTerm, Gentle: r.Gentle,
		}
	}
	return p
}

// waitingBytes bounds what waits for its time before a rate: somewhat more than
// the rate could carry in that time, in the memory that small frames take.
func waitingBytes(s Shape) int {
	const (
		slack      = 1 << 20
		perPacket  = 4 // a 64-byte frame takes 256 bytes
		roundedUp  = 1.25
		bitsInByte = 8
	)
	wait := s.Delay + s.Jitter + 10*time.Millisecond
	return slack + int(float64(s.Rate)*1000/bitsInByte*wait.Seconds()*perPacket*roundedUp)
}
