package jail

import (
	"fmt"
	"net/netip"

	"emujail/jailsetup/network"
	"emujail/jailsetup/topology"
	"emujail/protocol"
)

// Kinds of routing (ROUTERTYPE). Those not named here have their routes from
// boss: manual, static-old; ospf, whose daemon is started inside.
const (
	routingNone   = "none"
	routingStatic = "static"
	routingDdijk  = "static-ddijk" // the same, by another program
)

// computesRoutes tells whether the routes are computed here.
func (w Wish) computesRoutes() bool {
	return w.Routing.Type == routingStatic || w.Routing.Type == routingDdijk
}

// forwards tells whether the node passes on what isn't its own.
func (w Wish) forwards() bool {
	return w.Jail.Routing || w.Routing.Type != "" && w.Routing.Type != routingNone
}

// routes are the vnode's into its experiment, by the links that it has.
func (w Wish) routes(links []network.ExperimentLink) ([]network.Route, error) {
	switch {
	case w.Routing.Type == "" || w.Routing.Type == routingNone:
		return nil, nil
	case w.computesRoutes():
		return w.shortestRoutes(links)
	}
	var list []network.Route
	for _, r := range w.Routing.Routes {
		route, err := routeOf(r)
		if err != nil {
			return nil, fmt.Errorf("tmcd's routing: route to %s: %w", r.Dest, err)
		}
		list = append(list, route)
	}
	return list, nil
}

// shortestRoutes computes them. A link of the map that the vnode lacks, such as a
// tunnel that the site is without, leads nowhere.
func (w Wish) shortestRoutes(links []network.ExperimentLink) ([]network.Route, error) {
	if len(links) == 0 {
		return nil, nil
	}
	own := map[netip.Addr]bool{}
	for _, l := range links {
		for _, a := range l.Addrs {
			own[a.Addr()] = true
		}
	}
	name := w.Status.NickName
	m := w.Topology.Without(name, func(p topology.Port) bool { return !own[p.Addr] })
	shortest, err := m.Routes(name)
	if err != nil {
		return nil, fmt.Errorf("compute routes (%s): %w", w.Routing.Type, err)
	}
	var list []network.Route
	for _, r := range shortest {
		list = append(list, network.Route{Dest: r.Dest, Via: r.Via, Src: r.Src})
	}
	return list, nil
}

// routeOf reads one of boss's.
func routeOf(r protocol.Route) (network.Route, error) {
	var out network.Route
	var err error
	if out.Via, err = netip.ParseAddr(r.NextHop); err != nil {
		return out, fmt.Errorf("next hop: %w", err)
	}
	if r.Src != "" {
		if out.Src, err = netip.ParseAddr(r.Src); err != nil {
			return out, fmt.Errorf("source: %w", err)
		}
	}
	if r.DestType == "default" {
		out.Dest = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		return out, nil
	}
	dest, err := netip.ParseAddr(r.Dest)
	if err != nil {
		return out, err
	}
	bits := dest.BitLen()
	if r.DestType == "net" {
		if bits, err = maskBits(r.DestMask); err != nil {
			return out, err
		}
	}
	out.Dest, err = dest.Prefix(bits)
	return out, err
}
