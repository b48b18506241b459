package network

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Listener is a port at which a process of the host takes what comes to one of
// its addresses, or to all of them.
type Listener struct {
	Port
	Addr netip.Addr // unspecified: all
	UID  int        // whose socket it is
}

// takes tells whether what is sent to the address reaches the listener.
func (l Listener) takes(a netip.Addr) bool { return l.Addr.IsUnspecified() || l.Addr == a }

// States of sockets in /proc/net.
const (
	tcpListens = "0A"
	udpBound   = "07" // to no peer
)

// ListenersAt lists who listens at the address of the host, of the ports from low
// to high. UDP sockets with a port that the kernel may have chosen are left out:
// such are clients, and gone soon.
func ListenersAt(a netip.Addr, low, high uint16) ([]Listener, error) {
	chosenLow, chosenHigh, err := localPorts()
	if err != nil {
		return nil, err
	}
	var found []Listener
	for _, table := range [...]struct {
		file, state string
		proto       Proto
	}{
		{"tcp", tcpListens, TCP}, {"tcp6", tcpListens, TCP}, {"udp", udpBound, UDP}, {"udp6", udpBound, UDP},
	} {
		text, err := os.ReadFile("/proc/thread-self/net/" + table.file)
		if errors.Is(err, fs.ErrNotExist) { // no IPv6
			continue
		}
		if err != nil {
			return nil, err
		}
		all, err := parseListeners(string(text), table.state, table.proto)
		if err != nil {
			return nil, fmt.Errorf("read /proc/net/%s: %w", table.file, err)
		}
		for _, l := range all {
			chosen := table.proto == UDP && chosenLow <= l.Number && l.Number <= chosenHigh
			if low <= l.Number && l.Number <= high && l.takes(a) && !chosen {
				found = append(found, l)
			}
		}
	}
	return found, nil
}

// localPorts are the ports that the kernel chooses for clients.
func localPorts() (low, high uint16, err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(text), &low, &high)
	return low, high, err
}

// parseListeners reads the sockets in the state from a table of /proc/net.
func parseListeners(text, state string, proto Proto) ([]Listener, error) {
	var list []Listener
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Fields(line)
		if n == 0 || len(f) < 8 || f[3] != state {
			continue
		}
		host, port, ok := strings.Cut(f[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil {
			return nil, fmt.Errorf("local address %q", f[1])
		}
		addr, err := parseHexAddr(host)
		if err != nil {
			return nil, err
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil {
			return nil, fmt.Errorf("uid %q", f[7])
		}
		list = append(list, Listener{Port: Port{Proto: proto, Number: uint16(number)}, Addr: addr, UID: uid})
	}
	return list, nil
}

// parseHexAddr reads an address as the kernel prints it: words of 32 bits, each
// in the machine's order.
func parseHexAddr(text string) (netip.Addr, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, fmt.Errorf("address %q: want 8 or 32 hex digits", text)
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.NativeEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap(), nil
}
