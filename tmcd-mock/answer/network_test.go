package answer_test

import "testing"

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
