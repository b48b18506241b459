package answer_test

import (
	"testing"

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
