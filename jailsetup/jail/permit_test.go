package jail

import (
	"slices"
	"strings"
	"testing"

	"emujail/protocol"
)

// TestRefusals: the log says which bits a jail doesn't get, or gets by another
// one, and nothing of those that are as boss says.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		bits protocol.JailConfig
		want []string // beginnings
	}{
		{protocol.JailConfig{}, nil},
		{protocol.JailConfig{SysVIPC: true, InetRaw: true, BPFRO: true, InAddrAny: true}, nil},
		{protocol.JailConfig{DevMem: true}, []string{"DEVMEM=1 is refused:"}},
		{protocol.JailConfig{IPDivert: true}, []string{"IPDIVERT=1 is refused:"}},
		{protocol.JailConfig{IPFW: true}, []string{"IPFW=1 beside ROUTING=0:"}},
		{protocol.JailConfig{Routing: true}, []string{"IPFW=0 beside ROUTING=1:"}},
		{protocol.JailConfig{IPFW: true, Routing: true}, []string{"IPDIVERT=0 beside IPFW=1:"}},
		{protocol.JailConfig{IPFW: true, Routing: true, IPDivert: true}, []string{"IPDIVERT=1 is refused:"}},
		{protocol.JailConfig{IPFW: true, IPDivert: true, DevMem: true},
			[]string{"DEVMEM=1 is refused:", "IPDIVERT=1 is refused:", "IPFW=1 beside ROUTING=0:"}},
	} {
		got := refusals(row.bits)
		if !slices.EqualFunc(got, row.want, strings.HasPrefix) {
			t.Errorf("%+v: %q, want %q", row.bits, got, row.want)
		}
	}
}
