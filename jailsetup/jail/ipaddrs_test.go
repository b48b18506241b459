package jail

import (
	"net/netip"
	"slices"
	"testing"

	"emujail/jailsetup/network"
	"emujail/protocol"
)

// TestIPAddrs: of the addresses that boss says are the jail's, those that no
// interface has are told, and sshd listens at each where its wildcard isn't all.
func TestIPAddrs(t *testing.T) {
	links := []network.ExperimentLink{
		{Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.1.2/24"), netip.MustParsePrefix("10.1.1.22/24")}},
		{Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.2.2/24")}},
	}
	for _, row := range []struct {
		config   string
		homeless []string
		sshd     string
	}{
		{"INADDRANY=1\nIPADDRS=\"\"\n", nil, ""},
		{"INADDRANY=1\nIPADDRS=\"10.1.1.2,10.1.2.2\"\n", nil, ""},
		{"INADDRANY=0\nIPADDRS=\"10.1.1.2,10.1.2.2\"\n", nil, "172.16.1.1 10.1.1.2 10.1.2.2"},
		{"INADDRANY=0\nIPADDRS=\"\"\n", nil, "172.16.1.1"},
		{"INADDRANY=1\nIPADDRS=\"10.1.1.22,10.1.5.2\"\n", []string{"address 10.1.5.2 of IPADDRS (no interface has it)"}, ""},
	} {
		config, err := protocol.ParseJailConfig([]byte(row.config))
		if err != nil {
			t.Fatal(err)
		}
		w, r := Wish{Jail: config}, Record{Address: "172.16.1.1"}
		if got := w.homeless(links); !slices.Equal(got, row.homeless) {
			t.Errorf("%q: homeless: %q", row.config, got)
		}
		if got := r.sshdAddresses(w); got != row.sshd {
			t.Errorf("%q: sshd listens at %q", row.config, got)
		}
	}
}
