package shape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/shape/delay"
)

// Status is a link as it stands.
type Status struct {
	Link   Link   `json:"link"`
	ByNode bool   `json:"by_node"` // frames go through the delay node
	Out    Counts `json:"out"`
	In     Counts `json:"in"`
}

// Counts are one direction's. Node is of the delay node, all zero without it.
type Counts struct {
	Node       delay.Counters `json:"node"`
	QueueDrops uint64         `json:"queue_drops"` // of the device's queue
}

// Nothing is called so.
var (
	ErrNoExperiment = errors.New("no such experiment with links on this host")
	ErrNoLink       = errors.New("no such link")
	ErrNoNode       = errors.New("no such node")
)

// matches tells whether the link is of the experiment, given as pid/eid or as
// eid alone, on the LAN, and of the node, by vname or vnode id. Empty means any.
func (l Link) matches(experiment, lan, node string) bool {
	_, eid, _ := strings.Cut(l.Splice.Experiment, "/")
	return (experiment == l.Splice.Experiment || experiment == eid) &&
		(lan == "" || lan == l.Splice.LAN) &&
		(node == "" || node == l.NickName || node == l.Splice.VNode)
}

// chosen are the links that match, in the order of LAN and vnode. An eid alone
// must belong to one experiment.
func (k *Keeper) chosen(experiment, lan, node string) ([]Link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Link
	for _, l := range k.links {
		if l.matches(experiment, lan, node) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.Splice.LAN, b.Splice.LAN), cmp.Compare(a.Splice.VNode, b.Splice.VNode), cmp.Compare(a.Interface, b.Interface))
	})
	for _, l := range list {
		if l.Splice.Experiment != list[0].Splice.Experiment {
			return nil, fmt.Errorf("%s is more than one experiment: %s, %s (name it PID/EID)", experiment, list[0].Splice.Experiment, l.Splice.Experiment)
		}
	}
	if len(list) == 0 {
		return nil, k.unknown(experiment, lan, node)
	}
	return list, nil
}

// unknown says which of the names is wrong, and what there is instead. The lock
// is held.
func (k *Keeper) unknown(experiment, lan, node string) error {
	var all, links, nodes []string
	for _, l := range k.links {
		all = append(all, l.Splice.Experiment)
		if l.matches(experiment, "", "") {
			links = append(links, l.Splice.LAN)
		}
		if l.matches(experiment, lan, "") {
			nodes = append(nodes, l.NickName)
		}
	}
	switch {
	case len(links) == 0:
		return fmt.Errorf("%w (there %s)", ErrNoExperiment, thereIs(all)) // which one, the asker says
	case len(nodes) == 0:
		return fmt.Errorf("%s: %w in %s (there %s)", lan, ErrNoLink, experiment, thereIs(links))
	}
	return fmt.Errorf("%s: %w on this host with %s %s (there %s)", node, ErrNoNode, experiment, lan, thereIs(nodes))
}

// thereIs names things, each once.
func thereIs(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	switch len(names) {
	case 0:
		return "is none"
	case 1:
		return "is " + names[0]
	}
	return "are: " + strings.Join(names, ", ")
}

// Change shapes a running experiment's link by words: at one node's end, or at
// every node on this host ([Words.Node], [Words.Link]). All is checked before
// anything is changed. What is under way stays under way.
func (k *Keeper) Change(ctx context.Context, experiment, lan, node string, words Words) ([]Link, error) {
	links, err := k.chosen(experiment, lan, node)
	if err != nil {
		return nil, err
	}
	apply := words.Link
	if node != "" {
		apply = words.Node
	}
	for _, l := range links {
		shape, err := apply(l.Shape)
		if err != nil {
			return nil, err
		}
		if err := shape.Check(); err != nil {
			return nil, fmt.Errorf("shape %s: %w", l, err)
		}
	}
	for i, l := range links {
		if links[i], err = k.shape(ctx, l, apply); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// Show is how the experiment's links stand.
func (k *Keeper) Show(experiment, lan, node string) ([]Status, error) {
	links, err := k.chosen(experiment, lan, node)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	carried := map[string]delay.Link{}
	if k.node != nil {
		if carried, err = k.node.links(); err != nil && k.node.alive() {
			return nil, err
		}
	}
	var list []Status
	for _, l := range links {
		id, err := l.ID()
		if err != nil {
			return nil, err
		}
		s := Status{Link: l}
		n, ok := carried[id]
		s.ByNode, s.Out.Node, s.In.Node = ok, n.To, n.Fro
		if l.Spliced {
			if err := s.countDrops(); err != nil {
				return nil, fmt.Errorf("count what %s drops: %w", l, err)
			}
		}
		list = append(list, s)
	}
	return list, nil
}

func (s *Status) countDrops() error {
	e, err := s.Link.Splice.Ends()
	if err != nil {
		return err
	}
	return withRoutes(s.Link.Splice, func(h *netlink.Handle) error {
		var err error
		if s.Out.QueueDrops, err = queueDrops(h, e.LAN); err != nil {
			return err
		}
		s.In.QueueDrops, err = queueDrops(h, e.Jail)
		return err
	})
}
