package jail

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/network"
	"emujail/protocol"
)

func testHost(t *testing.T) *Host {
	t.Helper()
	control, err := network.ControlIn(netip.MustParsePrefix("172.16.0.0/12"), 1)
	if err != nil {
		t.Fatal(err)
	}
	control.Pool = netip.MustParsePrefix("100.64.0.0/30")
	return &Host{Site: Site{State: t.TempDir()}, Network: control, reserve: make(chan struct{}, 1)}
}

// TestS9NobodyGetsThePortOfLinks: what other hosts send there is frames of all
// experiments; a redirect would hand it to one jail.
func TestS9NobodyGetsThePortOfLinks(t *testing.T) {
	h := testHost(t)
	w := Wish{Jail: protocol.JailConfig{PortLow: 24576, PortHigh: 24831}}
	if _, err := h.settle(Record{VNode: "pcvm1-1"}, w); err != nil {
		t.Errorf("without peers: %v", err)
	}
	h.Site.Peers = []netip.Addr{netip.MustParseAddr("192.0.2.9")}
	if _, err := h.settle(Record{VNode: "pcvm1-1"}, w); err == nil || !strings.Contains(err.Error(), "has port 24789") {
		t.Errorf("with peers: %v", err)
	}
}

// TestS6AnAddressIsOneJails: tmcd may move an address to another vnode while its
// first one runs.
func TestS6AnAddressIsOneJails(t *testing.T) {
	h := testHost(t)
	first := Record{VNode: "pcvm1-8", Phase: Up, Address: "172.16.1.8"}
	if err := os.MkdirAll(h.Site.Dir(first.VNode), 0o700); err != nil {
		t.Fatal(err)
	}
	w := Wish{Jail: protocol.JailConfig{JailIP: netip.MustParseAddr("172.16.1.8")}}
	for _, row := range []struct {
		phase Phase
		vnode string
		want  string // part of the error; empty: none
	}{
		{Up, "pcvm1-1", "is that of pcvm1-8"}, {Building, "pcvm1-1", "is that of pcvm1-8"},
		{Leaving, "pcvm1-1", "is that of pcvm1-8"}, {Down, "pcvm1-1", ""}, {Building, "pcvm1-8", ""},
	} {
		first.Phase = row.phase
		if err := h.Site.Save(first); err != nil {
			t.Fatal(err)
		}
		r := Record{VNode: row.vnode, Phase: Building}.atOwnAddress(w)
		_, err := h.reservePlace(r, w)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s while pcvm1-8 is %s: %v", row.vnode, row.phase, err)
		}
	}
}

// With an address of its own a vnode has all ports; without, what boss gives
// it of the host's, if nobody else has it.
func TestSettle(t *testing.T) {
	h := testHost(t)
	for _, r := range []Record{
		{VNode: "pcvm1-8", Phase: Up, Private: netip.MustParseAddr("100.64.0.1"), PortLow: 31000, PortHigh: 31255},
		{VNode: "pcvm1-9", Phase: Down, Private: netip.MustParseAddr("100.64.0.2"), PortLow: 32000, PortHigh: 32255},
		{VNode: "pcvm1-7", Phase: Up, Address: "172.16.1.7"},
	} {
		if err := os.MkdirAll(h.Site.Dir(r.VNode), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := h.Site.Save(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name string
		jail protocol.JailConfig
		want string // of the record, or part of the error
	}{
		{"own", protocol.JailConfig{JailIP: netip.MustParseAddr("172.16.1.1"), PortLow: 30000, PortHigh: 30255, SSHDPort: 30001}, "172.16.1.1:22 invalid IP 0-0"},
		{"shared", protocol.JailConfig{PortLow: 30000, PortHigh: 30255, SSHDPort: 30001}, "172.16.1.0:30001 100.64.0.3 30000-30255"},
		{"shared without SSHDPORT", protocol.JailConfig{PortLow: 30000, PortHigh: 30255}, "172.16.1.0:30000 100.64.0.3 30000-30255"},
		{"a halted jail's range", protocol.JailConfig{PortLow: 32000, PortHigh: 32255}, "172.16.1.0:32000 100.64.0.3 32000-32255"},
		{"neither", protocol.JailConfig{}, "neither a control address"},
		{"no range of the experiment's", protocol.JailConfig{PortLow: 0, PortHigh: 65535}, "from 1024 up"},
		{"sshd outside", protocol.JailConfig{PortLow: 30000, PortHigh: 30255, SSHDPort: 22}, "SSHDPORT 22 lies outside"},
		{"overlap", protocol.JailConfig{PortLow: 31255, PortHigh: 31300}, "overlaps that of pcvm1-8 (31000,31255)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := h.settle(Record{VNode: "pcvm1-1"}, Wish{Jail: row.jail})
			got := fmt.Sprintf("%s:%d %s %d-%d", r.Address, r.SSHDPort, r.Private, r.PortLow, r.PortHigh)
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != row.want || err != nil && !strings.Contains(got, row.want) {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
	h.Network.Pool = netip.MustParsePrefix("100.64.0.0/31")
	if _, err := h.settle(Record{VNode: "pcvm1-1"}, Wish{Jail: protocol.JailConfig{PortLow: 30000, PortHigh: 30255}}); err == nil || !strings.Contains(err.Error(), "pool") {
		t.Errorf("no address left: %v", err)
	}
}

// A vnode may go from one kind of place to the other between two boots.
func TestSettleAnew(t *testing.T) {
	h := testHost(t)
	own := Wish{Jail: protocol.JailConfig{JailIP: netip.MustParseAddr("172.16.1.1")}}
	shared := Wish{Jail: protocol.JailConfig{PortLow: 30000, PortHigh: 30255, SSHDPort: 30001}}
	r, err := h.settle(Record{VNode: "pcvm1-1"}, shared)
	if err != nil || r.inside() != netip.MustParseAddr("100.64.0.1") || r.shared() != "172.16.1.0" {
		t.Fatalf("shared: %+v, %v", r, err)
	}
	if r, err = h.settle(r, own); err != nil || r.inside() != own.Jail.JailIP || r.shared() != "" || r.PortHigh != 0 {
		t.Fatalf("own: %+v, %v", r, err)
	}
	if entries, _ := filepath.Glob(h.Site.State + "/*"); len(entries) != 0 {
		t.Errorf("settling wrote %v", entries)
	}
}
