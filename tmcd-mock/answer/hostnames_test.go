package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

const hostnamesBed = `
projects: {p: {head: lea}}
users: {lea: {}}
experiments:
  p/e: {creator: lea, lans: {l1: {mask: 24, members: {a: 10.1.0.1, b: 10.1.0.2}}, l2: {mask: 24, members: {b: 10.2.0.2, c: 10.2.0.3}}}}
hosts:
  one: {ip: 127.0.0.1, experiment: p/e, name: a}
  two: {ip: 127.0.0.2, experiment: p/e, name: b}
  three: {ip: 127.0.0.3, experiment: p/e, name: c}
  four: {ip: 127.0.0.4, experiment: p/e, name: d}
`

// TestHostNames: which lines there are, and which has the bare name.
func TestHostNames(t *testing.T) {
	const c, b, a = "NAME=c-l2 IP=10.2.0.3 ALIASES='c-0 c'\n",
		"NAME=b-l2 IP=10.2.0.2 ALIASES='b-1  '\nNAME=b-l1 IP=10.1.0.2 ALIASES='b-0 b'\n",
		"NAME=a-l1 IP=10.1.0.1 ALIASES='a-0 a'\n"
	row := func(more string) string {
		return "rows:\n  virt_lans:\n    - {exptidx: 100, pid: p, eid: e, " + more + "}\n"
	}
	for _, tc := range []struct{ name, more, src, want string }{
		{"two LANs", "", "127.0.0.1", c + b + a},
		{"a node without address", row("vname: l3, vnode: a, vport: 1, ip: ''"), "127.0.0.1",
			c + b + "NAME=a-l3 IP=0.0.0.0 ALIASES='a-1  '\n" + a},
		{"an address of three numbers", row("vname: l3, vnode: a, vport: 1, ip: 10.0.5"), "127.0.0.1",
			c + b + "NAME=a-l3 IP=10.0.0.5 ALIASES='a-1  '\n" + a},
		{"twice on one LAN, both with the bare name", row("vname: l1, vnode: b, vport: 2, ip: 10.1.0.9"), "127.0.0.1",
			c + "NAME=b-l2 IP=10.2.0.2 ALIASES='b-1  '\nNAME=b-l1 IP=10.1.0.9 ALIASES='b-2 b'\nNAME=b-l1 IP=10.1.0.2 ALIASES='b-0 b'\n" + a},
		{"a LAN of the Internet", row("vname: l3, vnode: a, vport: 1, ip: 1.1.1.1, protocol: ipv4"), "127.0.0.1",
			c + b + "NAME=a-l3 IP=127.0.0.1 ALIASES='a-1  '\n" + a},
		{"a node that isn't mapped", "tables:\n  v2pmap:\n    - {exptidx: 100, pid: p, eid: e, vname: c, node_id: three}\n", "127.0.0.1", c},
		{"none is mapped", "tables: {v2pmap: []}\n", "127.0.0.1", ""},
		{"who is on no LAN", "", "127.0.0.4", "NAME=c-l2 IP=10.2.0.3 ALIASES='c-0 c'\n" +
			"NAME=b-l2 IP=10.2.0.2 ALIASES='b-1 b'\nNAME=b-l1 IP=10.1.0.2 ALIASES='b-0  '\n" + a},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(ask(t, smallBed(t, hostnamesBed+tc.more), tc.src, answer.TCP, "VERSION=40 hostnames ").Reply); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// TestHostNamesCase: a name in another case finds the node, but not its lines.
func TestHostNamesCase(t *testing.T) {
	const want = "NAME=c-l2 IP=10.2.0.3 ALIASES='c-0 c'\n" +
		"NAME=b-l2 IP=10.2.0.2 ALIASES='b-1 b'\nNAME=b-l1 IP=10.1.0.2 ALIASES='b-0  '\nNAME=a-l1 IP=10.1.0.1 ALIASES='a-0  '\n"
	if got := string(ask(t, smallBed(t, hostnamesBed), "127.0.0.1", answer.TCP, "VNODEID=ONE VERSION=40 hostnames ").Reply); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
