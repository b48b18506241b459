package conformance

import (
	"context"
	"strings"

	"emujail/protocol"
)

// Needs is a set of what a row must be given.
type Needs uint16

// What rows need: fields of Target, and leave to write.
const (
	NeedVNode Needs = 1 << iota
	NeedSibling
	NeedForeign
	NeedRemote
	NeedFree
	NeedStranger
	NeedPrivKey
	NeedTLS
	NeedWrite
)

func needNames() []string {
	return []string{"vnode", "sibling", "foreign", "remote", "free", "stranger", "privkey", "TLS", "write"}
}

// Has reports whether all of want are in the set.
func (n Needs) Has(want Needs) bool { return n&want == want }

// String names the needs, as "vnode, TLS".
func (n Needs) String() string {
	var list []string
	for i, name := range needNames() {
		if n.Has(1 << i) {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// given is what the target and the options hold.
func (s *suite) given() Needs {
	var n Needs
	t := &s.target
	for i, have := range []bool{t.VNode != "", t.Sibling != "", t.Foreign != "", t.Remote.IsValid(), t.Free.IsValid(),
		t.Stranger.IsValid(), t.PrivKey != "", t.TLS != nil, s.options.Write} {
		if have {
			n |= 1 << i
		}
	}
	return n
}

// discover asks the server what the target doesn't say: the host's id and its
// vnodes. A server that doesn't answer is found out by the rows.
func (s *suite) discover(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	p := &probe{ctx: ctx, t: &s.target}
	if s.target.Node == "" {
		if b, err := p.ask(host("VERSION=40 nodeid ")); err == nil {
			id, _ := protocol.ParseNodeID([]byte(b)) // a reply that is none leaves it empty
			s.target.Node = string(id)
		}
	}
	if s.target.VNode != "" && s.target.Sibling != "" {
		return
	}
	b, err := p.ask(host("VERSION=40 vnodelist "))
	if err != nil {
		return
	}
	list, _ := protocol.ParseVNodeList([]byte(b)) // what can't be read is not in it
	for _, v := range list {
		switch {
		case s.target.VNode == "" && v.ID != s.target.Sibling:
			s.target.VNode = v.ID
		case s.target.Sibling == "" && v.ID != s.target.VNode:
			s.target.Sibling = v.ID
		}
	}
}
