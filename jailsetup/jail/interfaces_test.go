package jail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/topology"
	"emujail/protocol"
)

func parseInterfaces(t *testing.T, text string) []protocol.Interface {
	t.Helper()
	all, err := protocol.ParseIfConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all.Interfaces
}

// Of each type what it means here; the order doesn't depend on tmcd's.
func TestExperimentLinks(t *testing.T) {
	const (
		vlan  = "INTERFACE IFACETYPE=vlan INET=10.1.3.3 MASK=255.255.255.0 ID=7 VMAC=020a01030301 PMAC=00d0b713f404 RTABID=3 ENCAPSULATE=0 LAN=link-bc VTAG=267\n"
		veth  = "INTERFACE IFACETYPE=veth INET=10.1.1.4 MASK=255.255.255.0 ID=3 VMAC=020a01010401 PMAC=00d0b713f403 RTABID=3 ENCAPSULATE=1 LAN=lan0 VTAG=1\n"
		loop  = "INTERFACE IFACETYPE=loop INET=10.1.4.4 MASK=255.255.255.0 ID=8 VMAC=020a01040401 PMAC=none RTABID=3 ENCAPSULATE=0 LAN=lan-loop VTAG=502\n"
		alias = "INTERFACE IFACETYPE=alias INET=10.1.1.22 MASK=255.255.255.0 ID=9 VMAC=020a01010401 PMAC=none RTABID= ENCAPSULATE=0 LAN=lan0 VTAG=\n"
		any9  = "INTERFACE IFACETYPE=any INET=10.1.9.9 MASK=255.255.255.0 MAC=020a01090901 SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=lan9\n"
		any10 = "INTERFACE IFACETYPE=any INET=10.1.9.10 MASK=255.255.255.0 MAC=020a01090a01 SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=lan9\n"
		gre   = "INTERFACE IFACETYPE=gre INET=10.1.5.2 MASK=255.255.255.0 MAC=020a01050201 SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=tun-ab\n"
		phys  = "INTERFACE IFACETYPE=em INET= MASK= MAC=00d0b713f703 SPEED=1000Mbps DUPLEX=full IFACE= RTABID= LAN=\n"
	)
	peers := Site{NetSite: NetSite{Peers: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}}
	for _, row := range []struct {
		name string
		site Site
		text string
		want string // or part of the error
	}{
		{"recorded", Site{}, vlan + veth + loop, "eth1 lan-loop [10.1.4.4/24] 0 0; eth2 lan0 [10.1.1.4/24] 0 0; eth3 link-bc [10.1.3.3/24] 267 0"},
		{"alias", Site{}, alias + veth, "eth1 lan0 [10.1.1.4/24 10.1.1.22/24] 0 0"},
		{"any", Site{}, any10 + any9, "eth1 lan9 [10.1.9.9/24] 0 0; eth2 lan9 [10.1.9.10/24] 0 0"},
		{"what is no link", Site{}, gre + phys, ""},
		{"between hosts", peers, veth + loop, "eth1 lan-loop [10.1.4.4/24] 0 0; eth2 lan0 [10.1.1.4/24] 0 1450 to [192.0.2.2]"},
		{"MTU of the site", Site{NetSite: NetSite{LANMTU: 9000}}, veth, "eth1 lan0 [10.1.1.4/24] 0 9000"},
		{"VLAN without a name", Site{}, strings.Replace(vlan, "LAN=link-bc", "LAN=", 1), "eth1 vlan267 [10.1.3.3/24] 267 0"},
		{"without address", Site{}, strings.NewReplacer("10.1.1.4", "", "255.255.255.0", "").Replace(veth), "eth1 lan0 [] 0 0"},
		{"alias of nobody", Site{}, alias, "no interface has its MAC"},
		{"mask with holes", Site{}, strings.Replace(veth, "255.255.255.0", "255.0.255.0", 1), "mask 255.0.255.0 has holes"},
		{"another type", Site{}, strings.Replace(veth, "IFACETYPE=veth", "IFACETYPE=tap", 1), `type "tap" is not provided`},
		{"no MAC", Site{}, strings.Replace(veth, "020a01010401", "", 1), "MAC"},
	} {
		t.Run(row.name, func(t *testing.T) {
			links, err := row.site.experimentLinks(Wish{Interfaces: parseInterfaces(t, row.text)})
			var words []string
			for _, l := range links {
				word := fmt.Sprintf("%s %s %v %d %d", l.Name, l.LAN, l.Addrs, l.Tag, l.MTU)
				if len(l.Trunk.Peers) > 0 {
					word += fmt.Sprintf(" to %v", l.Trunk.Peers)
				}
				words = append(words, word)
			}
			got := strings.Join(words, "; ")
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != row.want || err != nil && (row.want == "" || !strings.Contains(got, row.want)) {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// TestManyAliases: an interface has 256 addresses at most, and the record of how
// it is taken down can be read again.
func TestManyAliases(t *testing.T) {
	lines := func(n int) string {
		text := "INTERFACE IFACETYPE=veth INET=10.1.0.1 MASK=255.255.0.0 ID=3 VMAC=020a01010401 PMAC=00d0b713f403 RTABID=3 ENCAPSULATE=1 LAN=lan0 VTAG=1\n"
		for i := range n - 1 {
			text += fmt.Sprintf("INTERFACE IFACETYPE=alias INET=10.1.%d.%d MASK=255.255.0.0 ID=9 VMAC=020a01010401 PMAC=none RTABID= ENCAPSULATE=0 LAN=lan0 VTAG=\n", 1+i/200, 1+i%200)
		}
		return text
	}
	links, err := Site{}.experimentLinks(Wish{Interfaces: parseInterfaces(t, lines(256))})
	if err != nil || len(links) != 1 || len(links[0].Addrs) != 256 {
		t.Fatalf("%d links: %v", len(links), err)
	}
	log, err := plan.OpenLog(filepath.Join(t.TempDir(), "undo.log"))
	if err != nil {
		t.Fatal(err)
	}
	links[0].VNode = "pcvm1-1"
	undos, err := links[0].Undo()
	for _, u := range undos {
		err = errors.Join(err, log.Append(u))
	}
	if err != nil {
		t.Error(err)
	}
	_, err = Site{}.experimentLinks(Wish{Interfaces: parseInterfaces(t, lines(257))})
	if err == nil || !strings.Contains(err.Error(), "eth1 has 256 addresses already") {
		t.Errorf("one more: %v", err)
	}
}

func TestLacksTag(t *testing.T) {
	for _, row := range []struct {
		kind, tag string
		want      bool
	}{{"vlan", "0", true}, {"vlan", "", true}, {"vlan", "267", false}, {"veth", "0", false}} {
		if got := lacksTag(protocol.Interface{Type: row.kind, VTag: row.tag}); got != row.want {
			t.Errorf("%s with tag %q: %t", row.kind, row.tag, got)
		}
	}
}

// Each type of routing gives the routes that it gave.
func TestRoutes(t *testing.T) {
	m, err := topology.Parse([]byte("node-a,lan0:10.1.1.2\nnode-b,lan0:10.1.1.3 link-bc:10.1.3.2\nnode-c,link-bc:10.1.3.3\n"))
	if err != nil {
		t.Fatal(err)
	}
	const list = `ROUTE DEST=10.9.0.0 DESTTYPE=net DESTMASK=255.255.0.0 NEXTHOP=10.1.3.3 COST=5 SRC=
ROUTE DEST=10.1.4.4 DESTTYPE=host DESTMASK=255.255.255.255 NEXTHOP=10.1.3.3 COST=0 SRC=10.1.3.2
ROUTE DEST=0.0.0.0 DESTTYPE=default DESTMASK=0.0.0.0 NEXTHOP=10.1.3.3 COST=0 SRC=
`
	const given = "10.9.0.0/16 via 10.1.3.3; 10.1.4.4/32 via 10.1.3.3 by 10.1.3.2; 0.0.0.0/0 via 10.1.3.3"
	lacking := Wish{Topology: m, Routing: protocol.Routing{Type: "static"}, Status: protocol.Status{NickName: "node-b"}}
	alone := []network.ExperimentLink{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.1.3/24")}}}
	if routes, err := lacking.routes(alone); err != nil || len(routes) != 0 {
		t.Errorf("without its link to node-c: %v, %v", routes, err)
	}
	for _, row := range []struct {
		name, node, text, want string
		forwards               bool
	}{
		{"none", "node-a", "ROUTERTYPE=none\n", "", false},
		{"no answer", "node-a", "", "", false},
		{"static", "node-a", "ROUTERTYPE=static\n", "10.1.3.0/24 via 10.1.1.3 by 10.1.1.2", true},
		{"static-ddijk", "node-c", "ROUTERTYPE=static-ddijk\n", "10.1.1.0/24 via 10.1.3.2 by 10.1.3.3", true},
		{"manual", "node-b", "ROUTERTYPE=manual\n" + list, given, true},
		{"static-old", "node-b", "ROUTERTYPE=static-old\n" + list, given, true},
		{"not in the map", "node-z", "ROUTERTYPE=static\n", "no such node: node-z", true},
		{"no next hop", "node-b", "ROUTERTYPE=manual\nROUTE DEST=10.9.0.0 DESTTYPE=net DESTMASK=255.255.0.0 NEXTHOP=x COST=5 SRC=\n", "route to 10.9.0.0: next hop", true},
		{"mask with holes", "node-b", "ROUTERTYPE=manual\nROUTE DEST=10.9.0.0 DESTTYPE=net DESTMASK=255.0.255.0 NEXTHOP=10.1.3.3 COST=5 SRC=\n", "has holes", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := Wish{Topology: m, Interfaces: make([]protocol.Interface, 1), Status: protocol.Status{NickName: row.node}}
			var err error
			if w.Routing, err = protocol.ParseRouting([]byte(row.text)); err != nil {
				t.Fatal(err)
			}
			var links []network.ExperimentLink
			for _, n := range m.Nodes {
				for _, p := range n.Ports {
					links = append(links, network.ExperimentLink{Addrs: []netip.Prefix{netip.PrefixFrom(p.Addr, 24)}})
				}
			}
			routes, err := w.routes(links)
			got := joinRoutes(routes)
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != row.want || err != nil && (row.want == "" || !strings.Contains(got, row.want)) {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if w.forwards() != row.forwards {
				t.Errorf("forwards: %t", w.forwards())
			}
		})
	}
}

func joinRoutes(routes []network.Route) string {
	var words []string
	for _, r := range routes {
		words = append(words, r.String())
	}
	return strings.Join(words, "; ")
}

func TestUnpack(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, "node-a,lan0:10.1.1.2\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := unpack(b.Bytes()); err != nil || string(text) != "node-a,lan0:10.1.1.2\n" {
		t.Errorf("%q, %v", text, err)
	}
	b.Reset()
	z = gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, maxMap+1)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	if _, err := unpack(b.Bytes()); err == nil {
		t.Error("a map without end is unpacked")
	}
}
