package answer_test

import "testing"

// TestSubConfig: a network processor learns both ends of its link, a mote its
// console; only from version 24.
func TestSubConfig(t *testing.T) {
	rows := `
  nodes:
    - {node_id: ixp1, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: ixp2, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: ixp3, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: mote, type: mica2, phys_nodeid: pc2, role: testnode}
    - {node_id: odd, type: other, phys_nodeid: pc2, role: testnode}
  reserved: [{node_id: ixp1, pid: p, eid: e, exptidx: 100, vname: net}, {node_id: ixp2, pid: p, eid: e, exptidx: 100, vname: net2}]
  interfaces:
    - {node_id: ixp1, card: 4, iface: eth0, role: ctrl, IP: 10.4.2.1}
    - {node_id: pc2, card: 4, iface: eth9, role: other, IP: 10.4.2.2, mask: 255.255.255.128}
    - {node_id: ixp2, card: 5, iface: eth0, role: ctrl, IP: 10.5.2.1}
    - {node_id: pc2, card: 5, iface: eth10, role: other, IP: 10.5.2.2}
    - {node_id: ixp3, card: 4, iface: eth0, role: ctrl}
  tiplines: [{node_id: mote, server: ops, portnum: 4501}]
`
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.2 VNODEID=ixp1 VERSION=24 subconfig": "IXP_IP=\"10.4.2.1\"\nIXP_IFACE=\"eth0\"\nIXP_BCAST=\"10.4.2.127\"\nIXP_HOSTNAME=\"net\"\n" +
			"HOST_IP=\"10.4.2.2\"\nHOST_IFACE=\"eth9\"\nNETMASK=\"255.255.255.128\"\n",
		"10.0.0.2 VNODEID=ixp1 VERSION=23 subconfig": "",
		"10.0.0.2 VNODEID=ixp2 VERSION=40 subconfig": "", // no mask
		"10.0.0.2 VNODEID=ixp3 VERSION=40 subconfig": "", // no address
		"10.0.0.2 VNODEID=mote VERSION=40 subconfig": "TYPE=mica2\nCAPSERVER=ops\nCAPPORT=4501\n",
		"10.0.0.2 VNODEID=odd VERSION=40 subconfig":  "",
		"10.0.0.2 VERSION=40 subconfig":              "",
	})
}
