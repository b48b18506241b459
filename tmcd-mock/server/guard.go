package server

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// CheckListen reads ADDR:PORT as the command line has it. ADDR must be an address of this machine,
// named on purpose: a mock that answers on every interface is a mistake, so a wildcard is refused.
func CheckListen(text string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %q: want ADDR:PORT, like 127.0.0.1:7777", text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %q: want a port from 0 to 65535", text)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if host == "" || err == nil && addr.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("listen on %q: this would answer on every address of the machine; "+
			"name one, like 127.0.0.1:%s (several --listen are possible)", text, port)
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen on %q: want an address, not a name", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}
