package topology

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Route is a route of a node.
type Route struct {
	Dest netip.Prefix
	Via  netip.Addr // next node's, on a LAN of ours
	Src  netip.Addr // ours, on that LAN
}

func (r Route) compare(o Route) int {
	return cmp.Or(r.Dest.Addr().Compare(o.Dest.Addr()), cmp.Compare(r.Dest.Bits(), o.Dest.Bits()))
}

// hop is the first step of a way.
type hop struct{ via, src netip.Addr }

// Routes are the node's ways to all addresses that are on no LAN of its own,
// sorted: one to a LAN where all its nodes are reached by the same neighbour, or
// most; to the others a route each. [ErrNoNode] says that the map lacks the
// node. What can't be reached has no route.
func (m Map) Routes(node string) ([]Route, error) {
	me := slices.IndexFunc(m.Nodes, func(n Node) bool { return n.Name == node })
	if me < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoNode, node)
	}
	first := m.shortest(me)
	own := map[netip.Prefix]bool{}
	for _, p := range m.Nodes[me].Ports {
		own[m.prefix(p)] = true
	}
	nets := map[netip.Prefix]map[netip.Addr]hop{}
	for i, n := range m.Nodes {
		for _, p := range n.Ports {
			net := m.prefix(p)
			if i == me || own[net] || !first[i].via.IsValid() {
				continue
			}
			if nets[net] == nil {
				nets[net] = map[netip.Addr]hop{}
			}
			nets[net][p.Addr] = first[i]
		}
	}
	var routes []Route
	for net, members := range nets {
		routes = append(routes, compress(net, members)...)
	}
	slices.SortFunc(routes, Route.compare)
	return routes, nil
}

// Without is the map without those of the node's ports that are picked.
func (m Map) Without(node string, picked func(Port) bool) Map {
	out := Map{Nodes: slices.Clone(m.Nodes), LANs: m.LANs}
	for i, n := range out.Nodes {
		if n.Name == node {
			out.Nodes[i].Ports = slices.DeleteFunc(slices.Clone(n.Ports), picked)
		}
	}
	return out
}

func (m Map) lan(name string) LAN {
	if l, ok := m.LANs[name]; ok {
		return l
	}
	return defaultLAN()
}

func (m Map) prefix(p Port) netip.Prefix {
	return netip.PrefixFrom(p.Addr, min(m.lan(p.LAN).Bits, p.Addr.BitLen())).Masked()
}

// compress makes one route of those that most members share.
func compress(net netip.Prefix, members map[netip.Addr]hop) []Route {
	count := map[hop]int{}
	for _, h := range members {
		count[h]++
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b hop) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), b.via.Compare(a.via), b.src.Compare(a.src))
	})
	routes := []Route{{Dest: net, Via: most.via, Src: most.src}}
	for addr, h := range members {
		if h != most {
			routes = append(routes, Route{Dest: netip.PrefixFrom(addr, addr.BitLen()), Via: h.via, Src: h.src})
		}
	}
	return routes
}

// shortest finds the first hop towards every node (Dijkstra). LANs are points
// too, so a LAN of a thousand nodes has a thousand edges, not a million: nodes
// are the points from 0, LANs those after them.
func (m Map) shortest(me int) []hop {
	index, members := m.points()
	points := len(m.Nodes) + len(members)
	way := make([]state, points)
	todo := &queue{{point: me}}
	for todo.Len() > 0 {
		s := heap.Pop(todo).(state)
		if way[s.point].done {
			continue
		}
		s.done = true
		way[s.point] = s
		if s.point >= len(m.Nodes) {
			for _, at := range members[s.point-len(m.Nodes)] {
				next := state{point: at.node, cost: s.cost, first: s.first}
				if !next.first.via.IsValid() {
					next.first.via = at.addr
				}
				if !way[at.node].done {
					heap.Push(todo, next)
				}
			}
			continue
		}
		for _, p := range m.Nodes[s.point].Ports {
			next := state{point: len(m.Nodes) + index[p.LAN], cost: s.cost + m.lan(p.LAN).Cost, first: s.first}
			if s.point == me {
				next.first = hop{src: p.Addr}
			}
			if !way[next.point].done {
				heap.Push(todo, next)
			}
		}
	}
	first := make([]hop, len(m.Nodes))
	for i := range first {
		first[i] = way[i].first
	}
	return first
}

// member is a node on a LAN.
type member struct {
	node int
	addr netip.Addr
}

func (m Map) points() (index map[string]int, members [][]member) {
	index = map[string]int{}
	for i, n := range m.Nodes {
		for _, p := range n.Ports {
			at, ok := index[p.LAN]
			if !ok {
				at = len(members)
				index[p.LAN] = at
				members = append(members, nil)
			}
			members[at] = append(members[at], member{i, p.Addr})
		}
	}
	return index, members
}

// state is a point with the best way to it, so far or for good.
type state struct {
	point int
	cost  float64
	first hop
	done  bool
}

// queue has the nearest first; of equals the one with the lower next address.
type queue []state

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].cost, q[j].cost), q[i].first.via.Compare(q[j].first.via),
		q[i].first.src.Compare(q[j].first.src), cmp.Compare(q[i].point, q[j].point)) < 0
}

// Push implements [heap.Interface].
func (q *queue) Push(x any) { *q = append(*q, x.(state)) }

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
