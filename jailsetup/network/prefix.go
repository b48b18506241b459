package network

import (
	"fmt"
	"net/netip"
)

// ConflictError says that the host already uses addresses of the control
// prefix.
type ConflictError struct {
	Prefix netip.Prefix // the control prefix
	Route  netip.Prefix // of the host
	Device string       // the route's; may be empty
}

func (e *ConflictError) Error() string {
	dev := ""
	if e.Device != "" {
		dev = " dev " + e.Device
	}
	return fmt.Sprintf("control prefix %s overlaps the host's route %s%s (setting: control prefix)", e.Prefix, e.Route, dev)
}

// privatePrefixes are searched for a free control prefix, in this order.
func privatePrefixes() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("192.168.0.0/16"),
	}
}

// nextFree is the first private prefix of bits that overlaps nothing taken.
func nextFree(bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	for _, block := range privatePrefixes() {
		if bits < block.Bits() || bits > 30 {
			continue
		}
		step := uint32(1) << (32 - bits)
		for i, n := uint32(0), uint32(1)<<(bits-block.Bits()); i < n; i++ {
			p := netip.PrefixFrom(addIPv4(block.Addr(), i*step), bits)
			if !overlapsAny(p, taken) {
				return p, true
			}
		}
	}
	return netip.Prefix{}, false
}

func overlapsAny(p netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if p.Overlaps(t) {
			return true
		}
	}
	return false
}
