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

const jailPermissions = "SYSVIPC=1\nINETRAW=1\nBPFRO=1\nINADDRANY=1\nIPFW=1\nIPDIVERT=1\nROUTING=1\nDEVMEM=1\nELABINELAB=0\nEVENTSERVER=\"event-server.emulab.test\"\n"

// TestJailConfigAddress: which row the address, the mask and the MAC are of.
func TestJailConfigAddress(t *testing.T) {
	const rest = "PORTRANGE=\"0,65535\"\nSSHDPORT=30001\n" + jailPermissions + "IPADDRS=\"\"\n"
	for _, tc := range []struct{ name, node, card, want string }{
		{"none", "", "", ""},
		{"the node's", "jailip: 172.16.0.9, jailipmask: 255.240.0.0", "", "JAILIP=\"172.16.0.9,255.240.0.0\"\n"},
		{"without a mask", "jailip: 172.16.0.9", "", "JAILIP=\"172.16.0.9,255.240.0.0\"\n"},
		{"an empty mask", "jailip: 172.16.0.9, jailipmask: ''", "", "JAILIP=\"172.16.0.9,\"\n"},
		{"the interface's", "jailip: 172.16.0.9", "mac: '0200aabbcc01', IP: 10.0.7.1, mask: 255.0.0.0", "JAILIP=\"10.0.7.1,255.0.0.0\"\nCTRLMAC=\"0200aabbcc01\"\n"},
		{"without a mask", "", "mac: '000000000000', IP: 10.0.7.1", "JAILIP=\"10.0.7.1,255.255.0.0\"\n"},
		{"an interface without address", "jailip: 172.16.0.9", "mac: '0200aabbcc01'", "JAILIP=\"172.16.0.9,255.240.0.0\"\nCTRLMAC=\"0200aabbcc01\"\n"},
		{"the first of several", "", "port: 2, IP: 10.0.7.2}, {node_id: vm1, card: 0, port: 1, iface: eth1, role: ctrl, mac: '020000000009', IP: 10.0.7.1, mask: 255.0.0.0",
			"JAILIP=\"10.0.7.1,255.0.0.0\"\nCTRLMAC=\"020000000009\"\n"},
		{"one with an empty address", "jailip: 172.16.0.9", "mac: '0200aabbcc01', IP: ''", "CTRLMAC=\"0200aabbcc01\"\n"},
	} {
		rows := "  nodes: [{node_id: vm1, jailflag: 1, " + tc.node + "}]\n"
		if tc.card != "" {
			rows += "  interfaces: [{node_id: vm1, card: 0, iface: eth0, role: ctrl, " + tc.card + "}]\n"
		}
		t.Run(tc.name, func(t *testing.T) {
			asks(t, configBed(t, rows), map[string]string{"10.0.0.1 VNODEID=vm1 VERSION=40 jailconfig": tc.want + rest})
		})
	}
}

// TestJailConfigAddrs: an empty address of the experiment leaves its comma to
// the one before it.
func TestJailConfigAddrs(t *testing.T) {
	for list, want := range map[string]string{"": "", "10.1.0.1": "10.1.0.1", "10.1.0.1 10.2.0.1": "10.1.0.1,10.2.0.1",
		"10.1.0.1 -": "10.1.0.1,", "- 10.1.0.1": "10.1.0.1", "10.1.0.1 - 10.2.0.1": "10.1.0.1,10.2.0.1", "-": ""} {
		rows := "  nodes: [{node_id: vm1, jailflag: 1}]\n  virt_lans:\n    - {exptidx: 100, vname: x, vnode: b, vport: 0, ip: 10.7.0.1}\n"
		for i, ip := range strings.Fields(list) {
			rows += "    - {exptidx: 100, vname: l, vnode: a, vport: " + string(rune('0'+i)) + ", ip: '" + strings.Trim(ip, "-") + "'}\n"
		}
		got := string(ask(t, configBed(t, rows), "10.0.0.1", answer.TCP, "VNODEID=vm1 VERSION=40 jailconfig ").Reply)
		if !strings.HasSuffix(got, "\nIPADDRS=\""+want+"\"\n") {
			t.Errorf("%q: %s", list, got)
		}
	}
}

// TestImageNames: the project and the group of an image are those of its
// numbers; an image without them has no name, nor one of another version.
func TestImageNames(t *testing.T) {
	for _, tc := range []struct{ name, image, partition, pid, version string }{
		{"by number", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1, pid: old, gid: old", "imageid: 5, imageid_version: 3", "q", "3"},
		{"the first partition", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 6}, {node_id: vm1, partition: 0, osid: 4, imageid: 5, imageid_version: 3", "q", "3"},
		{"another version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5, imageid_version: 2", "", ""},
		{"no version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5", "", ""},
		{"no project", "imageid: 5, version: 3, pid_idx: 99, gid_idx: 1", "imageid: 5, imageid_version: 3", "", ""},
		{"no group", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 99", "imageid: 5, imageid_version: 3", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := configBed(t, "  nodes: [{node_id: vm1, jailflag: 1, def_boot_osid: 4}]\n  partitions: [{node_id: vm1, partition: 1, osid: 4, "+tc.partition+
				"}]\n  image_versions: [{imagename: IMG, "+tc.image+"}]\n")
			info, name, old := "", "", ""
			if tc.pid != "" {
				info = "PID='q' GID='p' NAME='IMG' VERSION='3'\n"
				old = "IMAGENAME=\"q,p,IMG\"\n"
				name = "IMAGENAME=\"q,p,IMG:3\"\n"
			}
			head := "PORTRANGE=\"0,65535\"\nSSHDPORT=30001\n" + jailPermissions + "IPADDRS=\"\"\n"
			asks(t, tb, map[string]string{"10.0.0.1 VNODEID=vm1 VERSION=40 imageinfo": info,
				"10.0.0.1 VNODEID=vm1 VERSION=39 jailconfig": head + name, "10.0.0.1 VNODEID=vm1 VERSION=38 jailconfig": head + old})
		})
	}
}
