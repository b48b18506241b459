package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// subbossBed is the recorded testbed with pc4 as a subboss of others.
func subbossBed(t *testing.T, more ...any) *testbed.Testbed {
	t.Helper()
	serve := func(node, service string, disabled int) columns {
		return columns{"node_id": node, "service": service, "subboss_id": "pc4", "disabled": int64(disabled)}
	}
	tb := with(t, append([]any{"subbosses", []columns{serve("pc1", "dhcp", 0), serve("pc1", "tftp", 0), serve("pc1", "bootinfo", 0),
		serve("pc2", "dhcp", 0), serve("pc3", "dhcp", 1), serve("pc7", "dhcp", 0), serve("pc1", "frisbee", 1)}}, more...)...)
	alter(tb, "reserved", "node_id", "pc4", columns{"erole": "subboss"})
	return tb
}

// TestServiceInfo: whoever serves the node, unless that is switched off.
func TestServiceInfo(t *testing.T) {
	tb := subbossBed(t)
	visit{"served", "", "VERSION=40 serviceinfo ", "TFTP=pc4 DHCP=pc4 FRISBEE=boss PUBSUB=boss\n", ""}.check(t, tb)
	visit{"not served", "127.0.0.8", "VERSION=40 serviceinfo ", "TFTP=boss DHCP=boss FRISBEE=boss PUBSUB=boss\n", ""}.check(t, tb)
}

// TestDHCPDConf: the nodes of a subboss by priority, with what they boot.
func TestDHCPDConf(t *testing.T) {
	tb := subbossBed(t, "node_type_attributes", []columns{{"type": "pc850", "attrkey": "pxe_boot_path", "attrvalue": "/type"}},
		"node_attributes", []columns{{"node_id": "pc2", "attrkey": "pxe_boot_path", "attrvalue": ""}})
	alter(tb, "nodes", "node_id", "pc7", columns{"priority": int64(-2)})
	alter(tb, "nodes", "node_id", "pc1", columns{"pxe_boot_path": "/own"})
	const pc1 = "HOSTNAME=pc1 MAC=00d0b713f401 IP=127.0.0.1"
	const pc2 = "HOSTNAME=pc2 MAC=00d0b713f501 IP=127.0.0.2 FILENAME=\"\"\n"
	const pc7 = "HOSTNAME=pc7 MAC=00d0b713fa01 IP=127.0.0.7"
	visit{"plain", "127.0.0.4", "VERSION=40 dhcpdconf ", pc7 + " FILENAME=\"/type\"\n" + pc1 + " TFTP=127.0.0.4 BOOTINFO=127.0.0.4 FILENAME=\"/own\"\n" + pc2, ""}.check(t, tb)
	visit{"no subboss", "", "VERSION=40 dhcpdconf ", "", ""}.check(t, tb)

	alter(tb, "reserved", "node_id", "pc7", columns{"inner_elab_boot": int64(1), "inner_elab_role": "node"})
	alter(tb, "reserved", "node_id", "pc8", columns{"inner_elab_role": "boss+router"})
	alter(tb, "experiments", "idx", "106", columns{"elabinelab_singlenet": int64(1)})
	alter(tb, "reserved", "node_id", "pc1", columns{"plab_boot": int64(1), "plab_role": "plc"})
	alter(tb, "nodes", "node_id", "pc1", columns{"next_pxe_boot_path": "/next"})
	visit{"inner testbeds", "127.0.0.4", "VERSION=40 dhcpdconf ",
		pc7 + " INNER_ELAB_BOOT=1 INNER_ELAB_ROLE=node SINGLENET=1 TFTP=127.0.0.8 BOOTINFO=127.0.0.8 FILENAME=\"/type\"\n" +
			pc1 + " PLAB_BOOT=1 TFTP=127.0.0.4 BOOTINFO=127.0.0.4 FILENAME=\"/next\"\n" + pc2, ""}.check(t, tb)
}

// TestARPInfo: servers for all on the control network, nodes for a subboss.
func TestARPInfo(t *testing.T) {
	tb := subbossBed(t, "interfaces", []columns{{"node_id": "pc1", "IP": "10.0.0.1", "mac": "00d0b713f4ff", "iface": "eth9", "role": "mngmnt"}})
	site := func(name, value string) { alter(tb, "sitevariables", "name", name, columns{"value": value}) }
	site("general/arplockdown", "static")
	site("node/gw_ip", "127.0.1.1")
	site("node/boss_ip", "10.0.0.2")
	site("node/boss_mac", "010203040506")
	site("node/ops_ip", "127.0.1.2")
	site("node/ops_mac", "1:2:3:4:5:F")
	site("node/fs_ip", "127.0.1.2")
	site("node/fs_mac", "010203040507")
	const servers = "ARPTYPE=static\nSERVER=gw CNETIP=127.0.1.1 CNETMAC=00d0bcf414f8\nSERVER=ops CNETIP=127.0.1.2 CNETMAC=01020304050f\n" +
		"SERVER=pc4 CNETIP=127.0.0.4 CNETMAC=00d0b713f701\n"
	visit{"a node", "", "VERSION=40 arpinfo ", servers, answer.TLS}.check(t, tb)
	visit{"a subboss", "127.0.0.4", "VERSION=40 arpinfo ", servers + "HOST=pc1 CNETIP=127.0.0.1 CNETMAC=00d0b713f401\n" +
		"HOST=pc2 CNETIP=127.0.0.2 CNETMAC=00d0b713f501\nHOST=pc7 CNETIP=127.0.0.7 CNETMAC=00d0b713fa01\n", answer.TLS}.check(t, tb)
	visit{"another network", "", "REDIRECT=172.17.1.1 VERSION=40 arpinfo ", "", answer.TLS}.check(t, tb)
	site("general/arplockdown", "dynamic")
	visit{"a word that isn't known", "", "VERSION=40 arpinfo ", "ARPTYPE=none\n", answer.TLS}.check(t, tb)
}

// TestARPInfoXen: vnodes of a host that routes have its MAC address.
func TestARPInfoXen(t *testing.T) {
	tb := with(t, "virt_node_attributes", []columns{{"exptidx": int64(103), "vname": "vhost-shared", "attrkey": "xenvifrouting", "attrvalue": "1"}})
	alter(tb, "interfaces", "node_id", "pc2", columns{"mac": "000000000001"})
	got := string(ask(t, tb, "127.0.0.20", answer.TLS, "VERSION=40 arpinfo ").Reply)
	for _, want := range []string{"HOST=pcvm3-1 CNETIP=172.18.3.1 CNETMAC=00d0b713f601\n", "HOST=pcvm1-1 CNETIP=172.17.1.1 CNETMAC=020000000101\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if strings.Contains(got, "HOST=pc2 ") || strings.Contains(got, "HOST=ops ") {
		t.Errorf("nodes that have no address for others: %q", got)
	}
}
