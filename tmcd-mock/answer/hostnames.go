package answer

import (
	"cmp"
	"slices"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// hostnames lists every interface of the experiment, for /etc/hosts. The bare
// name of a node goes with the interface by which the asker reaches it best:
// on a LAN that both are on, else the node's first line
// (docs/spec/protocol.md §6).
func (c *call) hostnames() {
	there := map[string]bool{}
	for r := range c.db.Where("reserved", "exptidx", c.who.exptidx) {
		there[strings.ToLower(r.Text("vname"))] = true
	}
	var rows []testbed.Row
	for r := range c.db.Where("virt_lans", "exptidx", c.who.exptidx) {
		if there[strings.ToLower(r.Text("vnode"))] && r.Has("ip") {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b testbed.Row) int {
		return cmp.Or(collate(b.Text("vnode"), a.Text("vnode")), collate(b.Text("vname"), a.Text("vname")))
	})
	bare := c.bareNames(rows)
	var list protocol.HostNames
	for i, r := range rows {
		node, port := r.Text("vnode"), r.Text("vport")
		h := protocol.HostName{Name: node + "-" + r.Text("vname"), IP: r.Text("ip"), Aliases: []string{node + "-" + port}}
		if c.version == 2 {
			h.Name = node
		}
		if bare[node] == i {
			h.Aliases = append(h.Aliases, node)
		}
		list = append(list, h)
	}
	c.reply(list)
}

// bareNames gives for each node the row that gets the bare name.
func (c *call) bareNames(rows []testbed.Row) map[string]int {
	bare := map[string]int{}
	var mine []string // my LANs, in descending order
	for _, r := range rows {
		if r.Is("vnode", c.who.nickname) {
			mine = append(mine, r.Text("vname"))
		}
	}
	for i, r := range rows {
		node := r.Text("vnode")
		at, seen := bare[node]
		switch {
		case !seen:
			bare[node] = i
		case r.Is("vnode", c.who.nickname):
			if r.Int("vport") == 0 {
				bare[node] = i
			}
		case rank(mine, r) < rank(mine, rows[at]):
			bare[node] = i
		}
	}
	return bare
}

// rank is the place of a row's LAN among mine; those that aren't come last.
func rank(mine []string, r testbed.Row) int {
	if i := slices.Index(mine, r.Text("vname")); i >= 0 {
		return i
	}
	return len(mine)
}

// collate compares as the database sorts: without case, as if all were upper.
func collate(a, b string) int { return cmp.Compare(strings.ToUpper(a), strings.ToUpper(b)) }
