package jail

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// scripted is a tmcd that answers each request with the next of its answers,
// and with the last from then on.
func scripted(t *testing.T, answers ...string) *client.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			fmt.Fprint(c, answers[min(n, len(answers)-1)])
			c.Close()
		}
	}()
	at := netip.MustParseAddrPort(l.Addr().String())
	c, err := client.New(client.Options{
		Network: client.TCP, Timeout: 5 * time.Second, RefusedWait: -1, Logger: slog.New(slog.DiscardHandler),
		Servers:  []client.Server{{Name: "tmcd", Addrs: []netip.Addr{at.Addr()}, Ports: []int{int(at.Port())}}},
		Identity: protocol.Request{Version: protocol.Version, VNodeID: "pcvm1-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A VLAN that the switch doesn't have yet: tmcd is asked until it has.
func TestAwaitTags(t *testing.T) {
	const line = "INTERFACE IFACETYPE=vlan INET=10.1.3.3 MASK=255.255.255.0 ID=7 VMAC=020a01030301 PMAC=00d0b713f404 RTABID=3 ENCAPSULATE=0 LAN=link-bc VTAG=%d\n"
	not, ready := fmt.Sprintf(line, 0), fmt.Sprintf(line, 267)
	for _, row := range []struct {
		name    string
		first   string
		answers []string
		want    string // the tag, or part of the error
	}{
		{"there at once", ready, []string{"never asked"}, "267"},
		{"there at the third time", not, []string{not, not, ready}, "267"},
		{"never there", not, []string{not}, "has no tag after"},
		{"nonsense", not, []string{"INTERFACE\n"}, "tmcd's answer to ifconfig"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := Wish{Interfaces: parseInterfaces(t, row.first)}
			err := w.awaitTags(t.Context(), scripted(t, row.answers...), time.Millisecond, Sleep)
			got := w.Interfaces[0].VTag
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != row.want || err != nil && !strings.Contains(got, row.want) {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// Where the testbed keeps no map, host names tell who is where.
func TestAskTopology(t *testing.T) {
	const names = "NAME=node-b-lan0 IP=10.1.1.3 ALIASES='node-b-0 node-b'\nNAME=node-a-lan0 IP=10.1.1.2 ALIASES='node-a-0 '\n"
	m, err := askTopology(t.Context(), scripted(t, "", names))
	if err != nil || len(m.Nodes) != 2 || m.Nodes[0].Ports[0].LAN != "lan0" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := askTopology(t.Context(), scripted(t, "no gzip")); err == nil || !strings.Contains(err.Error(), "topomap") {
		t.Errorf("what is no map: %v", err)
	}
}
