package conformance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"emujail/protocol"
)

func identityRows() []Row {
	q := host(nodeid)
	vnode, proxied := host("VNODEID={vnode} VERSION=40 nodeid "), host("PROXYFOR={vnode} VERSION=40 nodeid ")
	return []Row{
		{ID: "3/1", Rule: "a host is known by its address", check: ownID()},
		{ID: "3/2", Rule: "VNODEID names a vnode on the host that asks", check: says(vnode, "{vnode}\n")},
		{ID: "3/3", Rule: "PROXYFOR names it too", check: says(proxied, "{vnode}\n")},
		{ID: "3/4", Rule: "a host may name itself", check: same(q, host("VNODEID={node} VERSION=40 nodeid "))},
		{ID: "3/5", Rule: "a vnode of another host is refused (VNODEID)", check: silent(vnode,
			host("VNODEID={foreign} VERSION=40 nodeid "), host("VNODEID={foreign} VERSION=40 status "), host("VNODEID={foreign} VERSION=40 keyhash "))},
		{ID: "3/6", Rule: "a vnode of another host is refused (PROXYFOR)", check: silent(proxied,
			host("PROXYFOR={foreign} VERSION=40 nodeid "), host("PROXYFOR={foreign} VERSION=40 status "), host("PROXYFOR={foreign} VERSION=40 eventkey "))},
		{ID: "3/7", Rule: "another host's vnodes are refused to a remote host as well", check: silent(host(nodeid).by(asRemote),
			host("VNODEID={vnode} VERSION=40 nodeid ").by(asRemote), host("PROXYFOR={vnode} VERSION=40 nodeid ").by(asRemote))},
		{ID: "3/8", Rule: "a vnode that doesn't exist is refused", check: silent(vnode,
			host("VNODEID=no-such-vnode VERSION=40 nodeid "), host("PROXYFOR=no-such-vnode VERSION=40 nodeid "))},
		{ID: "3/9", Rule: "a vnode's name in its experiment is no node id", check: nickname()},
		{ID: "3/10", Rule: "an address of no node gets nothing", check: silent(q, host(nodeid).by(asStranger), host("VERSION=40 status ").by(asStranger))},
		{ID: "3/11", Rule: "an address of no node can't name a vnode", check: silent(vnode,
			host("VNODEID={vnode} VERSION=40 nodeid ").by(asStranger), host("PROXYFOR={vnode} VERSION=40 nodeid ").by(asStranger))},
		{ID: "3/12", Rule: "an address of no node gets nothing over UDP either", check: silent(host(nodeid).over(udp), host(nodeid).over(udp).by(asStranger))},
		{ID: "3/13", Rule: "PROXYFOR sticks: a later VNODEID changes the name only", check: sticky()},
		{ID: "3/14", Rule: "PRIVKEY names a remote host, wherever it asks from", check: same(
			host("PRIVKEY={privkey} VERSION=40 nodeid "), host("PRIVKEY={privkey} VERSION=40 nodeid ").by(asStranger))},
		{ID: "3/15", Rule: "PRIVKEY is compared without case", check: upperKey()},
		{ID: "3/16", Rule: "a PRIVKEY of nobody is refused, even to a known host", check: silent(q, host("PRIVKEY=feedfacefeedface0000 VERSION=40 nodeid "))},
		{ID: "3/17", Rule: "with PRIVKEY a host speaks for its own vnodes only", check: silent(
			host("PRIVKEY={privkey} VERSION=40 nodeid "), host("PRIVKEY={privkey} VNODEID={vnode} VERSION=40 nodeid "))},
		{ID: "3/18", Rule: "an IDKEY of nobody is refused", check: silent(q, host("IDKEY=nosuchkey VERSION=40 nodeid "))},
		{ID: "3/19", Rule: "REDIRECT from another address than boss's own is refused", check: redirected()},
		{ID: "3/20", Rule: "two vnodes of a host are two nodes", check: different(vnode, host("VNODEID={sibling} VERSION=40 nodeid "))},
		{ID: "3/21", Rule: "a host's tag-less question is about the host, not a vnode", check: different(q, vnode)},
		{ID: "3/22", Rule: "a node id longer than 30 characters is nobody's", check: silent(vnode, host("VNODEID={vnode}"+strings.Repeat("x", 40)+" VERSION=40 nodeid "))},
	}
}

// ownID wants a word, and the one that was given if one was.
func ownID() check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		b, err := p.some(q)
		if err != nil {
			from := "this machine's address"
			if p.t.Source.IsValid() {
				from = p.t.Source.String()
			}
			return fmt.Errorf("%w: is %s a node's?", err, from)
		}
		id, err := protocol.ParseNodeID([]byte(b))
		if err == nil && string(id) != p.t.Node {
			err = fmt.Errorf("it is %q, not %q", id, p.t.Node)
		}
		return err
	}}
}

// nickname asks by the name that status tells.
func nickname() check {
	return check{NeedVNode, func(p *probe) error {
		b, err := p.some(host("VNODEID={vnode} VERSION=40 status "))
		if err != nil {
			return err
		}
		s, err := protocol.ParseStatus([]byte(b))
		if err != nil {
			return err
		}
		if s.NickName == "" || s.NickName == p.t.VNode {
			return missingf("%s has no name of its own in its experiment", p.t.VNode)
		}
		return p.none(host("VNODEID=" + s.NickName + " VERSION=40 nodeid "))
	}}
}

// sticky tells by ifconfig, which answers a proxied vnode with other lines.
func sticky() check {
	return check{NeedVNode | NeedSibling, func(p *probe) error {
		want, err := p.ask(host("PROXYFOR={sibling} VERSION=40 ifconfig "))
		if err != nil {
			return err
		}
		outside, err := p.ask(host("VNODEID={sibling} VERSION=40 ifconfig "))
		if err != nil {
			return err
		}
		if want == "" || sameLines(want, outside) {
			return missingf("ifconfig of %s is the same by VNODEID and PROXYFOR", p.t.Sibling)
		}
		got, err := p.ask(host("PROXYFOR={vnode} VNODEID={sibling} VERSION=40 ifconfig "))
		if err == nil && !sameLines(got, want) {
			err = fmt.Errorf("PROXYFOR, then VNODEID: ifconfig %s, want %s", quote(got), quote(want))
		}
		return err
	}}
}

func upperKey() check {
	return check{NeedPrivKey, func(p *probe) error {
		want, err := p.some(host("PRIVKEY={privkey} VERSION=40 nodeid "))
		if err != nil {
			return err
		}
		upper := strings.ToUpper(p.t.PrivKey)
		if upper == p.t.PrivKey {
			upper = strings.ToLower(upper)
		}
		if upper == p.t.PrivKey {
			return missingf("the key has no letters")
		}
		got, err := p.ask(host("PRIVKEY=" + upper + " VERSION=40 nodeid "))
		if err == nil && got != want {
			err = fmt.Errorf("in the other case: %s, want %q", quote(got), want)
		}
		return err
	}}
}

// redirected asks from the first known host that isn't boss (spec §2: boss's own
// address, or 127.0.0.1, may redirect).
func redirected() check {
	return check{0, func(p *probe) error {
		loopback := netip.MustParseAddr("127.0.0.1")
		for _, from := range slices.Concat([]netip.Addr{p.t.Source}, p.t.Also, []netip.Addr{p.t.Remote}) {
			if !from.IsValid() || from == loopback {
				continue
			}
			q := question{from: from, way: tcp, text: nodeid}
			if b, err := p.ask(q); err != nil {
				return err
			} else if b == "" {
				continue
			}
			q.text = "REDIRECT=" + from.String() + " " + nodeid
			return p.none(q)
		}
		return missingf("no host with an address other than 127.0.0.1 is given")
	}}
}
