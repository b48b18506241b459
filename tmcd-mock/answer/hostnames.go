package answer

import (
	"cmp"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// hostLine is one interface of a node of the experiment.
type hostLine struct {
	node, lan string // the experiment's names
	id        string // of the node
	ip        string
	port      int
	of        *hostOf
}

// hostOf is what the lines of one node share.
type hostOf struct {
	lan  string // the LAN by which the asker reaches it best; "" if there is none
	me   bool
	bare bool // a line has the bare name already
}

// hostnames lists every interface of the experiment, for /etc/hosts. The bare
// name of a node goes with the interface by which the asker reaches it best:
// on a LAN that both are on, else the node's first line
// (docs/spec/protocol.md §6).
func (c *call) hostnames() {
	lines := c.hostLines()
	me := c.who.called // in the case of the request
	reach(lines, me)
	for _, l := range lines {
		alias := " "
		switch {
		case l.of.lan != "" && l.of.lan == l.lan, l.id == me && l.port == 0:
			alias = l.node
		case l.of.lan == "" && !l.of.bare && !l.of.me:
			alias = l.node
			l.of.bare = true
		}
		if c.version == 2 {
			c.linef("NAME=%s LINK=%d IP=%s ALIAS=%s", l.node, l.port, l.ip, alias)
			continue
		}
		c.linef("NAME=%s-%s IP=%s ALIASES='%s-%d %s'", l.node, l.lan, l.ip, l.node, l.port, alias)
	}
	if len(lines) > 0 && c.plabSlice() {
		c.linef("NAME=%s IP=%s ALIASES=''", c.site.Boss, c.site.BossIP)
		c.linef("NAME=%s IP=%s ALIASES=''", c.site.Ops, c.site.OpsIP)
	}
}

// hostLines are the interfaces of nodes that are there, last first.
func (c *call) hostLines() []*hostLine {
	mapped := map[string]string{}
	for m := range c.ofExperiment("v2pmap") {
		mapped[strings.ToLower(m.Text("vname"))] = m.Text("node_id")
	}
	var list []*hostLine
	for r := range c.ofExperiment("virt_lans") {
		id, ok := mapped[strings.ToLower(r.Text("vnode"))]
		if !ok || !r.Has("vnode") || !r.Has("vname") {
			continue
		}
		for _, ip := range c.hostAddrs(r, id) {
			list = append(list, &hostLine{node: r.Text("vnode"), lan: r.Text("vname"), id: id, ip: ip, port: r.Int("vport")})
		}
	}
	slices.SortStableFunc(list, func(a, b *hostLine) int {
		return cmp.Or(collate(a.node, b.node), collate(a.lan, b.lan))
	})
	for i, l := range list {
		if i > 0 && list[i-1].node == l.node {
			l.of = list[i-1].of
		} else {
			l.of = &hostOf{}
		}
		l.of.me = l.of.me || l.node == c.who.nickname
	}
	slices.Reverse(list)
	return list
}

// hostAddrs is the address on the LAN. A LAN of protocol ipv4 is the Internet:
// there nodes have their control addresses, a line for each.
func (c *call) hostAddrs(lan testbed.Row, id string) []string {
	var list []string
	own := inetAddr(lan.Text("ip"))
	host := c.db.First("nodes", "node_id", id).Text("phys_nodeid")
	for i := range c.db.Where("interfaces", "node_id", host) {
		switch {
		case !i.Is("role", "ctrl"):
		case lan.Text("protocol") == "ipv4" && i.Value("IP") != nil:
			list = append(list, inetAddr(i.Text("IP")))
		default:
			list = append(list, own)
		}
	}
	if len(list) == 0 {
		list = append(list, own)
	}
	return list
}

// reach notes for each node the first LAN that it shares with me, in the
// order of my lines.
func reach(lines []*hostLine, me string) {
	for _, mine := range lines {
		if mine.id != me {
			continue
		}
		for _, l := range lines {
			if l.lan == mine.lan && l.id != mine.id && l.of.lan == "" {
				l.of.lan = l.lan
			}
		}
	}
}

// inetAddr is an address as C reads it, 0.0.0.0 for what is none.
func inetAddr(s string) string {
	if a, ok := dotted(s); ok {
		return a.String()
	}
	return "0.0.0.0"
}

// collate compares as the database sorts: without case, as if all were upper.
func collate(a, b string) int { return cmp.Compare(strings.ToUpper(a), strings.ToUpper(b)) }
