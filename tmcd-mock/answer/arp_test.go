package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
)

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
