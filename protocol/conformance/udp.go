package conformance

import (
	"fmt"
	"strings"

	"emujail/protocol"
)

func udpRows() []Row {
	q, u := host(nodeid), host(nodeid).over(udp)
	return []Row{
		{ID: "1/50", Rule: "UDP: a request is a datagram, and so is its reply", check: same(q, u)},
		{ID: "1/51", Rule: "UDP: the reply is TCP's", check: all(
			same(host("VERSION=40 status "), host("VERSION=40 status ").over(udp)),
			same(host("VERSION=40 watchdoginfo "), host("VERSION=40 watchdoginfo ").over(udp)))},
		{ID: "1/52", Rule: "UDP: an unknown command is never answered", check: silent(u, host("VERSION=40 nosuchcommand ").over(udp))},
		{ID: "1/53", Rule: "UDP: nothing to say is no datagram", check: silent(u, host("VERSION=40 deltas ").over(udp))},
		{ID: "1/54", Rule: "UDP: a vnode is named as over TCP", check: same(host("VNODEID={vnode} VERSION=40 status "),
			host("VNODEID={vnode} VERSION=40 status ").over(udp))},
		{ID: "1/55", Rule: "UDP: ntpinfo is refused", check: silent(host("VERSION=40 ntpinfo "), host("VERSION=40 ntpinfo ").over(udp))},
		{ID: "1/56", Rule: "UDP: accounts is refused", check: silent(host("VERSION=40 accounts "), host("VERSION=40 accounts ").over(udp))},
		{ID: "1/57", Rule: "UDP: ipodinfo is refused", check: silent(host("VERSION=40 ipodinfo "), host("VERSION=40 ipodinfo ").over(udp))},
		{ID: "1/58", Rule: "UDP: a request of 2,047 bytes is read whole",
			check: same(q, host(nodeid+strings.Repeat("x", protocol.MaxUDPRequest-len(nodeid))).over(udp))},
		{ID: "1/59", Rule: "UDP: a longer request is cut there and run",
			check: same(q, host(nodeid+strings.Repeat("x", 4000)).over(udp))},
		{ID: "1/60", Rule: "UDP: a reply is cut at 8,192 bytes", check: cutReply()},
		{ID: "1/61", Rule: "UDP: an empty datagram is never answered", check: silent(u, host("").over(udp))},
	}
}

// cutReply looks for a reply that is long enough.
func cutReply() check {
	return check{0, func(p *probe) error {
		for _, tags := range []string{"", "VNODEID={vnode} "} {
			if tags != "" && p.t.VNode == "" {
				continue
			}
			for _, command := range []string{"userenv", "hostnames", "topomap", "ltmap", "geni_manifest", "tunnels"} {
				q := host(tags + "VERSION=40 " + command + " ")
				whole, err := p.ask(q)
				if err != nil {
					return err
				}
				if len(whole) <= protocol.MaxUDPReply {
					continue
				}
				part, err := p.ask(q.over(udp))
				if err == nil && part != whole[:protocol.MaxUDPReply] {
					err = fmt.Errorf("%v: %d of %d bytes over UDP", q, len(part), len(whole))
				}
				return err
			}
		}
		return missingf("no reply here is longer than %d bytes", protocol.MaxUDPReply)
	}}
}
