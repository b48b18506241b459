package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
)

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
