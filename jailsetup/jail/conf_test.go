package jail

import (
	"net/netip"
	"strings"
	"testing"

	"emujail/protocol"
)

// TestSSHDAddresses: at the jail's own addresses, each once; wherever it may if it
// shares the host's, or if sshd couldn't have so many sockets.
func TestSSHDAddresses(t *testing.T) {
	addrs := func(n int) (list []netip.Addr) {
		for i := range n {
			list = append(list, netip.AddrFrom4([4]byte{10, 1, 1, byte(i + 1)}))
		}
		return list
	}
	own := netip.MustParseAddr("172.16.1.1")
	for _, row := range []struct {
		name    string
		own     netip.Addr
		any     bool
		inside  []netip.Addr
		want    string // begins so
		howMany int
	}{
		{"own", own, true, nil, "172.16.1.1", 1},
		{"and in experiments", own, true, append(addrs(2), own, addrs(1)[0]), "172.16.1.1 10.1.1.1 10.1.1.2", 3},
		{"without a wildcard", own, false, addrs(2), "172.16.1.1 10.1.1.1 10.1.1.2", 3},
		{"as many as sshd has sockets", own, true, addrs(15), "172.16.1.1 10.1.1.1 ", 16},
		{"more than that", own, false, addrs(16), "", 0},
		{"shared", netip.Addr{}, true, addrs(2), "", 0},
		{"shared, without a wildcard", netip.Addr{}, false, addrs(2), "100.64.0.1 10.1.1.1 10.1.1.2", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := Wish{Jail: protocol.JailConfig{JailIP: row.own, InAddrAny: row.any, IPAddrs: row.inside}}
			r := Record{Private: netip.MustParseAddr("100.64.0.1")}
			if row.own.IsValid() {
				r = Record{}.atOwnAddress(w)
			}
			if got := r.sshdAddresses(w); !strings.HasPrefix(got, row.want) || len(strings.Fields(got)) != row.howMany {
				t.Errorf("%q", got)
			}
		})
	}
}
