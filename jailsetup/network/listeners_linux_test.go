package network

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// TestParseListeners reads tables as the kernel prints them.
func TestParseListeners(t *testing.T) {
	const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:7918 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 000110AC:7919 000110AC:0016 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`
	const tcp6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:791A 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0
   1: 0000000000000000FFFF0000000110AC:791B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000
`
	var got []string
	for _, text := range []string{tcp, tcp6} {
		list, err := parseListeners(text, tcpListens, TCP)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			got = append(got, fmt.Sprint(l.Addr, " ", l.Port, " ", l.UID))
		}
	}
	want := []string{"127.0.0.1 tcp/8080 0", "0.0.0.0 tcp/31000 0", ":: tcp/31002 0", "172.16.1.0 tcp/31003 1000"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, row := range []struct {
		listener, host string
		want           bool
	}{
		{"0.0.0.0", "172.16.1.0", true}, {"::", "172.16.1.0", true}, {"172.16.1.0", "172.16.1.0", true},
		{"127.0.0.1", "172.16.1.0", false}, {"10.0.0.1", "172.16.1.0", false},
	} {
		if got := (Listener{Addr: netip.MustParseAddr(row.listener)}).takes(netip.MustParseAddr(row.host)); got != row.want {
			t.Errorf("a listener at %s takes what is sent to %s: %v", row.listener, row.host, got)
		}
	}
	for _, bad := range []string{"x\n0: 0100007F 0:0 0A 0 0 0 0", "x\n0: 01:1F90 0:0 0A 0 0 0 0", "x\n0: 0100007F:1F900 0:0 0A 0 0 0 0", "x\n0: 0100007F:1F90 0:0 0A 0 0 0 x"} {
		if list, err := parseListeners(bad, tcpListens, TCP); err == nil {
			t.Errorf("%q: %v", bad, list)
		}
	}
}
