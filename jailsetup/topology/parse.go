package topology

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"emujail/protocol"
)

// Map is an experiment's topology.
type Map struct {
	Nodes []Node
	LANs  map[string]LAN // by name; may lack some
}

// Node is a node with its interfaces.
type Node struct {
	Name  string
	Ports []Port
}

// Port is an interface on a LAN.
type Port struct {
	LAN  string
	Addr netip.Addr
}

// LAN is what all who are on it have in common.
type LAN struct {
	Bits int     // of the mask
	Cost float64 // of crossing it; more than 0
}

// defaultLAN is one that the map doesn't list.
func defaultLAN() LAN { return LAN{Bits: 24, Cost: 1} }

// Parse reads the testbed's map. An error names the line.
func Parse(b []byte) (Map, error) {
	m := Map{LANs: map[string]LAN{}}
	lans := false
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		name, rest, ok := strings.Cut(line, ",")
		var err error
		switch {
		case strings.HasPrefix(line, "#"):
			lans = strings.HasPrefix(strings.TrimLeft(line, "# "), "lans")
		case !ok, name == "vname": // headings
		case lans:
			m.LANs[name], err = parseLAN(rest)
		default:
			var node Node
			node, err = parseNode(name, rest)
			m.Nodes = append(m.Nodes, node)
		}
		if err != nil {
			return Map{}, fmt.Errorf("topology map: line %d: %w", n, err)
		}
	}
	return m, nil
}

func parseNode(name, links string) (Node, error) {
	node := Node{Name: name}
	for _, word := range strings.Fields(links) {
		lan, text, _ := strings.Cut(word, ":")
		addr, err := netip.ParseAddr(text)
		if err != nil || lan == "" {
			return node, fmt.Errorf("node %s: %q: want LAN:ADDRESS", name, word)
		}
		node.Ports = append(node.Ports, Port{LAN: lan, Addr: addr})
	}
	return node, nil
}

func parseLAN(rest string) (LAN, error) {
	text, costText, _ := strings.Cut(rest, ",")
	costText, _, _ = strings.Cut(costText, ",")
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() {
		return LAN{}, fmt.Errorf("mask %q: want an IPv4 mask", text)
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return LAN{}, fmt.Errorf("mask %s has holes", text)
	}
	cost, err := strconv.ParseFloat(strings.TrimSpace(costText), 64)
	if err != nil || math.IsNaN(cost) || cost <= 0 {
		return LAN{}, fmt.Errorf("cost %q: want a number above 0", costText)
	}
	return LAN{Bits: ones, Cost: cost}, nil
}

// FromHostNames makes a map of the experiment's host names, for a testbed that
// keeps no map: NAME is node-LAN, the first alias node-number. Lines of another
// form are somebody's own names, and no interfaces.
func FromHostNames(names []protocol.HostName) (Map, error) {
	var m Map
	at := map[string]int{}
	for _, h := range names {
		node, lan, ok := splitHostName(h)
		if !ok {
			continue
		}
		addr, err := netip.ParseAddr(h.IP)
		if err != nil {
			return Map{}, fmt.Errorf("host name %s: %w", h.Name, err)
		}
		i, known := at[node]
		if !known {
			i = len(m.Nodes)
			at[node] = i
			m.Nodes = append(m.Nodes, Node{Name: node})
		}
		m.Nodes[i].Ports = append(m.Nodes[i].Ports, Port{LAN: lan, Addr: addr})
	}
	return m, nil
}

func splitHostName(h protocol.HostName) (node, lan string, ok bool) {
	if len(h.Aliases) == 0 {
		return "", "", false
	}
	i := strings.LastIndexByte(h.Aliases[0], '-')
	if i < 1 {
		return "", "", false
	}
	node = h.Aliases[0][:i]
	lan, ok = strings.CutPrefix(h.Name, node+"-")
	return node, lan, ok && lan != ""
}

// ErrNoNode says that the map doesn't know the node.
var ErrNoNode = errors.New("the topology map has no such node")
