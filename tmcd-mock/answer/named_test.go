package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

// small is a host with vnodes and what hangs on them.
const small = `{"defaults": {},
"node_types": [
 {"type": "pc", "class": "pc", "isremotenode": 0}, {"type": "pcvm", "class": "pcvm", "isvirtnode": 1, "isremotenode": 0},
 {"type": "ixp", "class": "ixp-class", "isremotenode": 0, "issubnode": 1}, {"type": "both", "class": null, "isvirtnode": 1, "issubnode": 1}],
"nodes": [
 {"node_id": "pc1", "type": "pc", "phys_nodeid": "pc1", "routertype": "", "update_accounts": 3},
 {"node_id": "v1", "type": "pcvm", "phys_nodeid": "pc1", "jailflag": 1, "routertype": "static", "op_mode": "SEC"},
 {"node_id": "v2", "type": "pcvm", "phys_nodeid": "pc1", "jailflag": 2, "routertype": "manual"},
 {"node_id": "v3", "type": "pcvm", "phys_nodeid": "pc1", "jailflag": 1, "routertype": null},
 {"node_id": "s1", "type": "ixp", "phys_nodeid": "pc1"},
 {"node_id": "s2", "type": "both", "phys_nodeid": "pc1"}],
"interfaces": [{"node_id": "pc1", "IP": "10.0.0.1", "role": "ctrl"}],
"reserved": [
 {"node_id": "pc1", "pid": "p", "eid": "e", "vname": "h"}, {"node_id": "v1", "pid": "p", "eid": "e", "vname": "a"},
 {"node_id": "v2", "pid": "p", "eid": "e", "vname": "b"}, {"node_id": "v3", "pid": "p", "eid": "e", "vname": "c"},
 {"node_id": "s2", "pid": "p", "eid": "e", "vname": "s"}],
"experiments": [{"idx": 5, "pid": "p", "eid": "e", "expt_head_uid": "", "expt_swap_uid": "", "nfsmounts": "all"}],
"virt_routes": [
 {"pid": "p", "eid": "e", "exptidx": 5, "vname": "a", "src": "", "dst": "10.1.2.3", "dst_type": "net", "dst_mask": "255.255.0.0", "nexthop": "10.1.1.1", "cost": 3},
 {"pid": "p", "eid": "other", "exptidx": 6, "vname": "a", "src": "", "dst": "10.1.9.3", "dst_type": "host", "dst_mask": "255.255.0.0", "nexthop": "10.1.1.1", "cost": 3},
 {"pid": "p", "eid": "e", "exptidx": 5, "vname": "h", "src": "", "dst": "10.1.2.3", "dst_type": "host", "dst_mask": "255.255.0.0", "nexthop": "10.1.1.1", "cost": 3}],
"virt_trafgens": [
 {"pid": "p", "eid": "e", "exptidx": 5, "vnode": "a", "vname": "t", "role": "sink", "proto": "tcp", "port": 1, "ip": "10.1.1.1", "target_vnode": "b", "target_port": 2, "target_ip": "", "generator": "NSE"},
 {"pid": "p", "eid": "e", "exptidx": 5, "vnode": "b", "vname": "u", "role": "sink", "proto": "tcp", "port": 1, "ip": "", "target_vnode": "a", "target_port": 2, "target_ip": "10.1.1.1", "generator": "TG"},
 {"pid": "q", "eid": "e", "exptidx": 6, "vnode": "a", "vname": "w", "role": "sink", "proto": "tcp", "port": 1, "ip": "", "target_vnode": "b", "target_port": 2, "target_ip": "", "generator": "TG"}],
"nseconfigs": [{"pid": "p", "eid": "e", "exptidx": 5, "vname": "a", "nseconfig": "one\n"}],
"lans": [{"lanid": 7, "exptidx": 5, "type": "tunnel"}, {"lanid": 8, "exptidx": 5, "type": "vlan"}, {"lanid": 9, "exptidx": 6, "type": "tunnel"}],
"lan_members": [{"lanid": 7, "memberid": 1, "node_id": "v1"}, {"lanid": 8, "memberid": 2, "node_id": "v1"}, {"lanid": 9, "memberid": 3, "node_id": "v1"}],
"lan_member_attributes": [
 {"lanid": 7, "memberid": 1, "attrkey": "tunnel_ip", "attrvalue": "1.2.3.4"}, {"lanid": 7, "memberid": 1, "attrkey": "TUNNEL-x", "attrvalue": ""},
 {"lanid": 7, "memberid": 1, "attrkey": "tunnel", "attrvalue": "no"}, {"lanid": 7, "memberid": 1, "attrkey": "iface", "attrvalue": "no"},
 {"lanid": 8, "memberid": 2, "attrkey": "tunnel_ip", "attrvalue": "no"}, {"lanid": 9, "memberid": 3, "attrkey": "tunnel_ip", "attrvalue": "no"}],
"tpm_quote_values": [{"node_id": "other", "op_mode": "SEC", "state": "ISUP", "pcr": 1}],
"ntpinfo": [
 {"node_id": "pc1", "IP": "ntp.b", "type": "peer"}, {"node_id": "pc1", "IP": "ntp.b", "type": "server"}, {"node_id": "pc1", "IP": "NTP.A", "type": "peer"},
 {"node_id": "v1", "IP": "", "type": "server"}, {"node_id": "v1", "IP": "ntp.a", "type": ""}]
}`

// TestNamedRows: replies that hang on single columns of single rows
// (docs/spec/protocol.md §6).
func TestNamedRows(t *testing.T) {
	const v1, v2, v3 = "VNODEID=v1 ", "VNODEID=v2 ", "VNODEID=v3 "
	for _, tc := range []struct{ name, request, reply string }{
		{"routing without a type", "VERSION=40 routing ", ""},
		{"routing of type NULL", v3 + "VERSION=40 routing ", ""},
		{"routes for an old client", v1 + "VERSION=18 routing ", "ROUTERTYPE=static\nROUTE DEST=10.1.0.0 DESTTYPE=net DESTMASK=255.255.0.0 NEXTHOP=10.1.1.1 COST=3 SRC=\n"},
		{"static routes are the node's own matter", v1 + "VERSION=19 routing ", "ROUTERTYPE=static\n"},
		{"a peer without address", v1 + "trafgens ", "TRAFGEN=t MYNAME=10.1.1.1 MYPORT=1 PEERNAME= PEERPORT=2 PROTO=tcp ROLE=sink GENERATOR=NSE\n"},
		{"no address, and the peer's isn't told", v2 + "trafgens ", "TRAFGEN=u MYNAME=b-0 MYPORT=1 PEERNAME=a-0 PEERPORT=2 PROTO=tcp ROLE=sink GENERATOR=TG\n"},
		{"nseconfigs", v1 + "nseconfigs ", "one\n"},
		{"no creator", "creator ", "CREATOR=\n"},
		{"no swapper", "VERSION=21 creator ", "CREATOR= SWAPPER=\n"},
		{"tunnels: keys and lans", v1 + "tunnels ", "TUNNEL=7 MEMBER=1 KEY='tunnel_ip' VALUE='1.2.3.4'\nTUNNEL=7 MEMBER=1 KEY='TUNNEL-x' VALUE=''\n"},
		{"tunnels inside", "PROXYFOR=v1 tunnels ", ""},
		{"vnodelist", "VERSION=7 vnodelist ", "VNODEID=v1 JAILED=1\nVNODEID=v2 JAILED=2\nVNODEID=v3 JAILED=1\nVNODEID=s2 JAILED=\n"},
		{"old vnodelist", "VERSION=6 vnodelist ", "v1\nv2\nv3\ns2\n"},
		{"vnodelist of a host by its name", "VNODEID=pc1 VERSION=6 vnodelist ", "v1\nv2\nv3\ns2\n"},
		{"vnodelist of a vnode", v1 + "VERSION=7 vnodelist ", ""},
		{"subnodelist", "VERSION=24 subnodelist ", "NODEID=s1 TYPE=ixp-class\nNODEID=s2 TYPE=\n"},
		{"subnodelist of a host by its name", "VNODEID=pc1 VERSION=24 subnodelist ", "NODEID=s1 TYPE=ixp-class\nNODEID=s2 TYPE=\n"},
		{"old subnodelist", "VERSION=23 subnodelist ", ""},
		{"isalive of more than one", "isalive ", "UPDATE=1\n"},
		{"isalive of NULL", v1 + "isalive ", "UPDATE=0\n"},
		{"ntpinfo by address", "ntpinfo ", "PEER=NTP.A\nSERVER=ntp.b\nPEER=ntp.b\n"},
		{"ntpinfo with nothing in it", v1 + "ntpinfo ", ""},
		{"ntpinfo without rows", v2 + "ntpinfo ", "SERVER=ntp1.example.emulab.net\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if res := ask(t, bedOfRows(t, small), "10.0.0.1", answer.TCP, tc.request); string(res.Reply) != tc.reply {
				t.Errorf("reply %q (%s)\nwant  %q", res.Reply, res.Why, tc.reply)
			}
		})
	}
}
