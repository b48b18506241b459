// Package picture draws experiments: "jailsetup graph".
//
//	dot := picture.Source(experiments)     // Graphviz' language
//	svg, err := picture.Draw(ctx, "jailpicture", dot)
//
// A node is a box with its name, its id and address, in the colour of its
// state; a LAN is an ellipse, a LAN of two a line. At the ends of lines stand
// interfaces and addresses, below them how the link is shaped.
//
// All names are somebody else's words: tmcd's, or a user's who named a node.
// [Source] quotes them, control characters become \xNN, and Graphviz escapes
// what SVG would take for its own.
//
// The drawing is done by a program beside jailsetup, jailpicture: Graphviz
// comes as WebAssembly, which costs each program that links it a tenth of a
// second at every start.
package picture

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Experiment is one cluster of the picture.
type Experiment struct {
	Name  string // pid/eid
	Nodes []Node
	Links []Link
}

// Node is a vnode.
type Node struct {
	VNode   string
	Name    string // in its experiment
	Address string // on the control network
	State   string // up, down, building, leaving
}

// Link is an interface of a node on a LAN.
type Link struct {
	VNode     string
	LAN       string
	Interface string   // eth1
	Addresses []string // with their prefix length
	Out, In   string   // how it is shaped, as the node sees it; empty: not
}

// colours of the states; an unknown one has that of the empty name.
func colour(state string) string {
	switch state {
	case "up":
		return "palegreen"
	case "building", "leaving":
		return "khaki"
	case "down":
		return "lightgrey"
	}
	return "white"
}

// Source is the picture in Graphviz' language.
func Source(experiments []Experiment) []byte {
	var b bytes.Buffer
	b.WriteString("graph testbed {\n" +
		"\tgraph [fontname=\"sans-serif\" fontsize=12 nodesep=0.6 ranksep=0.9]\n" +
		"\tnode [fontname=\"sans-serif\" fontsize=11]\n" +
		"\tedge [fontname=\"sans-serif\" fontsize=9]\n")
	for n, e := range experiments {
		fmt.Fprintf(&b, "\tsubgraph cluster_%d {\n\t\tlabel=%s\n\t\tstyle=rounded color=grey\n", n, quote(e.Name))
		e.source(&b)
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	return b.Bytes()
}

func (e Experiment) source(b *bytes.Buffer) {
	for _, n := range e.Nodes {
		fmt.Fprintf(b, "\t\t%s [shape=box style=filled fillcolor=%s label=%s]\n", quote("node "+n.VNode), colour(n.State),
			quote(cmp.Or(n.Name, n.VNode), n.VNode, n.Address, n.State))
	}
	for _, members := range e.lans() {
		lan := members[0].LAN
		if len(members) == 2 {
			one, two := members[0], members[1]
			fmt.Fprintf(b, "\t\t%s -- %s [label=%s taillabel=%s headlabel=%s]\n", quote("node "+one.VNode), quote("node "+two.VNode),
				quote(lan), quote(one.words()...), quote(two.words()...))
			continue
		}
		id := quote("lan " + e.Name + " " + lan)
		fmt.Fprintf(b, "\t\t%s [shape=ellipse label=%s]\n", id, quote(lan))
		for _, l := range members {
			fmt.Fprintf(b, "\t\t%s -- %s [label=%s]\n", quote("node "+l.VNode), id, quote(l.words()...))
		}
	}
}

// lans groups the links, in the order of the LANs' names, then of the nodes.
func (e Experiment) lans() [][]Link {
	links := slices.Clone(e.Links)
	slices.SortStableFunc(links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.LAN, b.LAN), cmp.Compare(a.VNode, b.VNode), cmp.Compare(a.Interface, b.Interface))
	})
	var list [][]Link
	for _, l := range links {
		if n := len(list); n > 0 && list[n-1][0].LAN == l.LAN {
			list[n-1] = append(list[n-1], l)
		} else {
			list = append(list, []Link{l})
		}
	}
	return list
}

func (l Link) words() []string {
	lines := append([]string{l.Interface}, l.Addresses...)
	if l.Out != "" {
		lines = append(lines, "out "+l.Out)
	}
	if l.In != "" {
		lines = append(lines, "in "+l.In)
	}
	return lines
}

// quote is a string of Graphviz' language with these lines in it; empty ones
// are left out. Nothing in them has a meaning there.
func quote(lines ...string) string {
	lines = slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return s == "" })
	for i, line := range lines {
		var b strings.Builder
		for _, r := range line {
			switch {
			case r == '"' || r == '\\':
				b.WriteString(`\` + string(r))
			case !unicode.IsPrint(r):
				fmt.Fprintf(&b, `\\x%02x`, r)
			case r == '&':
				b.WriteString("&amp;") // Graphviz reads entities in labels
			default:
				b.WriteRune(r)
			}
		}
		lines[i] = b.String()
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
