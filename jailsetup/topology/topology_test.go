package topology

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"emujail/protocol"
)

// recorded is the map that the testbed of the specification's records had.
const recorded = `# nodes: vname,links
nodes
vname,links
node-a,lan0:10.1.1.2 link-ab:10.1.2.2
node-b,lan0:10.1.1.3 link-ab:10.1.2.3 link-bc:10.1.3.2
node-c,lan0:10.1.1.4 link-bc:10.1.3.3
# lans: vname,mask,cost
lan0,255.255.255.0,1
`

// A line of five, and a shortcut that costs more than it saves.
const line = `# nodes: vname,links
a,ab:10.0.1.1 short:10.0.9.1
b,ab:10.0.1.2 bc:10.0.2.1
c,bc:10.0.2.2 cd:10.0.3.1
d,cd:10.0.3.2 de:10.0.4.1
e,de:10.0.4.2 short:10.0.9.2
alone,
# lans: vname,mask,cost
ab,255.255.255.0,1
bc,255.255.255.252,1
cd,255.255.255.0,1
de,255.255.255.0,1
short,255.255.255.0,2.5
`

func TestRoutes(t *testing.T) {
	for _, row := range []struct{ name, topology, node, want string }{
		{"recorded, first", recorded, "node-a", "10.1.3.0/24 via 10.1.1.3 from 10.1.1.2; 10.1.3.3/32 via 10.1.1.4 from 10.1.1.2"},
		{"recorded, middle", recorded, "node-b", ""},
		{"recorded, last", recorded, "node-c", "10.1.2.0/24 via 10.1.1.2 from 10.1.1.4; 10.1.2.3/32 via 10.1.1.3 from 10.1.1.4"},
		{"line, its end", line, "a", "10.0.2.0/30 via 10.0.1.2 from 10.0.1.1; 10.0.3.0/24 via 10.0.1.2 from 10.0.1.1; " +
			"10.0.4.0/24 via 10.0.1.2 from 10.0.1.1; 10.0.4.2/32 via 10.0.9.2 from 10.0.9.1"},
		{"line, its middle", line, "c", "10.0.1.0/24 via 10.0.2.1 from 10.0.2.2; 10.0.4.0/24 via 10.0.3.2 from 10.0.3.1; " +
			"10.0.9.0/24 via 10.0.2.1 from 10.0.2.2; 10.0.9.2/32 via 10.0.3.2 from 10.0.3.1"},
		{"nobody to reach", line, "alone", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := Parse([]byte(row.topology))
			if err != nil {
				t.Fatal(err)
			}
			routes, err := m.Routes(row.node)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range routes {
				got = append(got, fmt.Sprintf("%s via %s from %s", r.Dest, r.Via, r.Src))
			}
			if text := strings.Join(got, "; "); text != row.want {
				t.Errorf("routes\n%s, want\n%s", text, row.want)
			}
		})
	}
	m, err := Parse([]byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Routes("node-z"); !errors.Is(err, ErrNoNode) {
		t.Errorf("a node that isn't there: %v", err)
	}
}

func TestParseMistakes(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"address", "a,lan0:10.1.1\n", "line 1: node a"},
		{"no address", "# nodes: vname,links\na,lan0\n", "line 2: node a"},
		{"mask", "# lans: vname,mask,cost\nlan0,255.0.255.0,1\n", "line 2: mask 255.0.255.0 has holes"},
		{"no mask", "# lans: vname,mask,cost\nlan0,,1\n", "line 2: mask"},
		{"cost", "# lans: vname,mask,cost\nlan0,255.255.255.0,free\n", `cost "free"`},
		{"cost 0", "# lans: vname,mask,cost\nlan0,255.255.255.0,0\n", `cost "0"`},
	} {
		if _, err := Parse([]byte(row.text)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
}

// Without a map the host names say the same.
func TestFromHostNames(t *testing.T) {
	names, err := protocol.ParseHostNames([]byte(`NAME=node-c-link-bc IP=10.1.3.3 ALIASES='node-c-1 node-c'
NAME=node-c-lan0 IP=10.1.1.4 ALIASES='node-c-0  '
NAME=node-b-link-bc IP=10.1.3.2 ALIASES='node-b-2 node-b'
NAME=node-b-link-ab IP=10.1.2.3 ALIASES='node-b-1  '
NAME=node-b-lan0 IP=10.1.1.3 ALIASES='node-b-0  '
NAME=node-a-link-ab IP=10.1.2.2 ALIASES='node-a-1 node-a'
NAME=node-a-lan0 IP=10.1.1.2 ALIASES='node-a-0  '
`))
	if err != nil {
		t.Fatal(err)
	}
	from, err := FromHostNames(names)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse([]byte(recorded))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"node-a", "node-b", "node-c"} {
		a, errA := from.Routes(node)
		b, errB := parsed.Routes(node)
		if errA != nil || errB != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %v (%v), want %v (%v)", node, a, errA, b, errB)
		}
	}
}

// walk follows the routes of each node in turn; it returns the cost of the way.
func walk(t *testing.T, m Map, tables map[string][]Route, from string, to netip.Addr) float64 {
	t.Helper()
	owner := map[netip.Addr]int{}
	for i, n := range m.Nodes {
		for _, p := range n.Ports {
			owner[p.Addr] = i
		}
	}
	at, cost := from, 0.0
	for range len(m.Nodes) + 1 {
		n := m.Nodes[indexOf(m, at)]
		for _, p := range n.Ports {
			if p.Addr == to {
				return cost
			}
		}
		lan, next := step(m, n, tables[at], to)
		if lan == "" {
			t.Fatalf("%s has no route to %s", at, to)
		}
		cost += m.lan(lan).Cost
		at = m.Nodes[owner[next]].Name
	}
	t.Fatalf("loop from %s to %s", from, to)
	return 0
}

func indexOf(m Map, name string) int {
	for i, n := range m.Nodes {
		if n.Name == name {
			return i
		}
	}
	return -1
}

// step is a kernel's choice: the longest prefix.
func step(m Map, n Node, table []Route, to netip.Addr) (lan string, next netip.Addr) {
	for _, p := range n.Ports {
		if m.prefix(p).Contains(to) {
			return p.LAN, to
		}
	}
	best := -1
	for _, r := range table {
		if r.Dest.Contains(to) && r.Dest.Bits() > best {
			best = r.Dest.Bits()
			next = r.Via
			for _, p := range n.Ports {
				if p.Addr == r.Src {
					lan = p.LAN
				}
			}
		}
	}
	return lan, next
}

// In a random network every packet arrives, from everybody to everybody.
func TestEverybodyReachesEverybody(t *testing.T) {
	const seed = 4
	rnd := rand.New(rand.NewPCG(seed, seed))
	for round := range 20 {
		m := Map{LANs: map[string]LAN{}}
		for i := range 12 {
			m.Nodes = append(m.Nodes, Node{Name: fmt.Sprintf("n%d", i)})
		}
		for l := range 20 {
			name := fmt.Sprintf("l%d", l)
			m.LANs[name] = LAN{Bits: 24, Cost: float64(1 + rnd.IntN(5))}
			for k, i := range rnd.Perm(12)[:2+rnd.IntN(3)] {
				addr := netip.AddrFrom4([4]byte{10, byte(round), byte(l), byte(k + 1)})
				m.Nodes[i].Ports = append(m.Nodes[i].Ports, Port{name, addr})
			}
		}
		tables := map[string][]Route{}
		for _, n := range m.Nodes {
			routes, err := m.Routes(n.Name)
			if err != nil {
				t.Fatal(err)
			}
			tables[n.Name] = routes
		}
		for _, from := range m.Nodes {
			for _, to := range m.Nodes {
				for _, p := range to.Ports {
					if len(from.Ports) > 0 {
						walk(t, m, tables, from.Name, p.Addr)
					}
				}
			}
		}
	}
}

// Emulab's map of 2,000 nodes took minutes and 80 MB.
func TestBigMap(t *testing.T) {
	var m Map
	for i := range 2000 {
		n := Node{Name: fmt.Sprintf("n%d", i)}
		n.Ports = append(n.Ports, Port{"big", netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)})},
			Port{fmt.Sprintf("l%d", i), netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})},
			Port{fmt.Sprintf("l%d", (i+1)%2000), netip.AddrFrom4([4]byte{10, byte((i + 1) % 2000 >> 8), byte((i + 1) % 2000), 2})})
		m.Nodes = append(m.Nodes, n)
	}
	m.LANs = map[string]LAN{"big": {Bits: 16, Cost: 1}}
	start := time.Now()
	routes, err := m.Routes("n0")
	if err != nil || len(routes) < 1998 {
		t.Fatalf("%d routes, %v", len(routes), err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}
