package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// configHead is a host with two vnodes, a node beside it and a remote host.
const configHead = `
site: {domain: emulab.test, event_server: event-server.emulab.test, gateway: 10.0.0.254, control_network: 10.0.0.0, control_netmask: 255.255.0.0}
projects: {p: {head: alice, idx: 7}, q: {head: alice, idx: 8}}
users: {alice: {groups: {p: project_root}}}
types:
  pc: {class: pc}
  pcvm: {class: pcvm, virtual: true}
  pcplab: {class: pcplab, remote: true}
  plabslice: {class: pcplab, virtual: true, remote: true}
  ixp-bv: {class: ixp, subnode: true}
  mica2: {class: mote, subnode: true}
  other: {class: odd, subnode: true}
experiments: {p/e: {creator: alice}}
hosts:
  pc1: {type: pc, ip: 10.0.0.1, mac: "000000000001", experiment: p/e, name: host1, role: virthost}
  pc2: {type: pc, ip: 10.0.0.2, mac: "000000000002", experiment: p/e, name: fw}
  pc3: {type: pc, ip: 10.0.0.3, mac: "000000000003", experiment: p/e, name: web}
  far: {type: pcplab, ip: 10.9.0.1, experiment: p/e, name: there, remote: true, privkey: 0123456789abcdef}
vnodes:
  vm1: {type: pcvm, host: pc1, experiment: p/e, name: a, sshdport: 30001}
  vm2: {type: pcvm, host: pc1, experiment: p/e, name: b, sshdport: 30002}
  slice: {type: plabslice, host: far, experiment: p/e, name: s, sshdport: 30003}
`

// configBed is that testbed with more rows, written as the file's rows: are.
func configBed(t *testing.T, rows string) *testbed.Testbed {
	t.Helper()
	if rows != "" {
		rows = "rows:\n" + rows
	}
	db, err := testbed.Parse("test.yaml", []byte(configHead+rows))
	if err != nil {
		t.Fatal(err)
	}
	return testbed.New(db)
}

// asks compares the reply to each request with what is expected of it, over TCP
// from the address before the request.
func asks(t *testing.T, tb *testbed.Testbed, want map[string]string) {
	t.Helper()
	for request, reply := range want {
		src, command, _ := strings.Cut(request, " ")
		if res := ask(t, tb, src, answer.TCP, command+" "); string(res.Reply) != reply {
			t.Errorf("%s:\n%swant\n%s(%s)", request, res.Reply, reply, res.Why)
		}
	}
}

// TestRouteList: the routes of each name that v2pmap gives the node, and of no
// other.
func TestRouteList(t *testing.T) {
	rows := `
  nodes: [{node_id: vm1, routertype: manual}, {node_id: vm2, routertype: ""}]
  virt_routes:
    - {pid: p, eid: e, exptidx: 100, vname: a, src: 10.1.0.1, dst: 10.2.3.4, dst_type: net, dst_mask: 255.255.0.0, nexthop: 10.1.0.9, cost: 3}
    - {pid: p, eid: e, exptidx: 100, vname: sim-1, src: "", dst: 10.2.3.4, dst_type: host, dst_mask: 255.255.255.0, nexthop: 10.1.0.9, cost: 0}
    - {pid: p, eid: e, exptidx: 100, vname: b, src: "", dst: 10.2.3.4, dst_type: host, dst_mask: 255.255.255.0, nexthop: 10.1.0.9, cost: 0}
`
	const own = "ROUTE NODE=a SRC=10.1.0.1 DEST=10.2.0.0 DESTTYPE=net DESTMASK=255.255.0.0 NEXTHOP=10.1.0.9 COST=3\n"
	const second = "ROUTE NODE=sim-1 SRC= DEST=10.2.3.4 DESTTYPE=host DESTMASK=255.255.255.0 NEXTHOP=10.1.0.9 COST=0\n"
	const request = "10.0.0.1 VNODEID=vm1 VERSION=40 routelist"
	asks(t, configBed(t, rows+"  v2pmap: [{pid: p, eid: e, exptidx: 100, vname: a, node_id: vm1}, {pid: p, eid: e, exptidx: 100, vname: b, node_id: vm2}]\n"), map[string]string{
		request: "ROUTERTYPE=manual\n" + own,
		"10.0.0.1 VNODEID=vm2 VERSION=40 routelist": "",
		"10.0.0.1 VERSION=40 routelist":             "ROUTERTYPE=none\n",
	})
	asks(t, configBed(t, rows+"  v2pmap: [{pid: p, eid: e, exptidx: 100, vname: A, node_id: vm1}, {pid: p, eid: e, exptidx: 100, vname: sim-1, node_id: vm1}]\n"),
		map[string]string{request: "ROUTERTYPE=manual\n" + own + second})
	asks(t, configBed(t, rows), map[string]string{request: "ROUTERTYPE=manual\n"})
}
