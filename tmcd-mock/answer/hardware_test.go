package answer_test

import (
	"strings"
	"testing"
)

// TestHWInfo: the node's own values before its type's, disks, and only
// interfaces that an OS sees, by card.
func TestHWInfo(t *testing.T) {
	tb := with(t, "sitevariables", []columns{{"name": "nodecheck/collect", "value": "1"}, {"name": "nodecheck/check", "value": "", "defaultvalue": "2"}},
		"node_attributes", []columns{{"node_id": "pc4", "attrkey": "hw_cpu_speed", "attrvalue": "2400 MHz"}, {"node_id": "pc4", "attrkey": "hw_cpu_bits", "attrvalue": ""}},
		"blockstores", []columns{{"bsidx": int64(1), "node_id": "pc4", "type": "sata", "role": "element", "total_size": int64(238475)},
			{"bsidx": int64(2), "node_id": "pc4", "type": "sata", "role": "compound", "total_size": int64(1)}},
		"blockstore_type_attributes", []columns{{"type": "sata", "attrkey": "protocol", "attrvalue": "SATA"}},
		"blockstore_attributes", []columns{{"bsidx": int64(1), "attrkey": "serialnum", "attrvalue": "S1"}, {"bsidx": int64(2), "attrkey": "serialnum", "attrvalue": "S2"}},
		"interfaces", []columns{{"node_id": "pc4", "card": int64(9), "mac": "00d0b713f7f9", "role": "mngmnt"}, {"node_id": "pc4", "card": int64(8), "mac": "00d0b713f7f8", "role": "expt", "guid": "1"},
			{"node_id": "pc4", "card": int64(7), "mac": "000000f7f7f7", "role": "expt"}, {"node_id": "pc4", "card": int64(1), "mac": "00d0b713f7f1", "role": "other"}})
	visit{"pc4", "127.0.0.4", "VERSION=40 hwinfo ", `TESTINFO LOGDIR="/proj/testbed/nodecheck" COLLECT=1 CHECK=2
CPUINFO SOCKETS=1 CORES=1 THREADS=1 SPEED=2400 BITS=32 HV=0
MEMINFO SIZE=512
DISKINFO UNITS=1
DISKUNIT SN="S1" TYPE="SATA" SECSIZE=512 SIZE=250059
NETINFO UNITS=4
NETUNIT TYPE="ETH" ID="00d0b713f701"
NETUNIT TYPE="ETH" ID="00d0b713f702"
NETUNIT TYPE="ETH" ID="00d0b713f7f1"
NETUNIT TYPE="ETH" ID="00d0b713f703"
`, ""}.check(t, tb)
	alter(tb, "node_type_attributes", "type", "pc850", columns{"attrkey": "hw_other"})
	visit{"nothing of what is told", "127.0.0.5", "VERSION=40 hwinfo ", "TESTINFO LOGDIR=\"/proj/testbed/nodecheck\" COLLECT=1 CHECK=2\nCPUINFO\nNETINFO UNITS=3\n" +
		"NETUNIT TYPE=\"ETH\" ID=\"00d0b713f801\"\nNETUNIT TYPE=\"ETH\" ID=\"00d0b713f802\"\nNETUNIT TYPE=\"ETH\" ID=\"00d0b713f803\"\n", ""}.check(t, tb)
}

// TestInterfaceMap: nodes by name, told apart by eight characters.
func TestInterfaceMap(t *testing.T) {
	tb := with(t, "interfaces", []columns{{"node_id": "pcvm1-100", "mac": "b"}, {"node_id": "pcvm1-10", "mac": "a"}, {"node_id": "boss", "mac": "c"}, {"node_id": "pc10", "mac": "d"}})
	got := string(ask(t, tb, "127.0.0.1", "tcp", "VERSION=40 intfcmap ").Reply)
	if !strings.Contains(got, "\npc10 d\npc2 ") || !strings.Contains(got, "\npcvm1-1 020000000101\npcvm1-10 a b\npcvm1-2 ") || strings.Contains(got, "boss") {
		t.Errorf("intfcmap %q", got)
	}
}

// TestNodeAttributes: an attribute without a value isn't told; a Xen host is
// told that the site lets it route.
func TestNodeAttributes(t *testing.T) {
	tb := with(t, "virt_node_attributes", []columns{{"exptidx": int64(103), "vname": "vhost-shared", "attrkey": "A", "attrvalue": nil},
		{"exptidx": int64(103), "vname": "vhost-shared", "attrkey": "B", "attrvalue": ""}})
	visit{"a Xen host", "127.0.0.3", "VERSION=40 nodeattributes ", "B=\"\"\n", ""}.check(t, tb)
	alter(tb, "sitevariables", "name", "general/xenvifrouting", columns{"value": "0"})
	visit{"a Xen host that routes", "127.0.0.3", "VERSION=40 nodeattributes ", "B=\"\"\nxenvifrouting=1\n", ""}.check(t, tb)
	visit{"its vnode", "127.0.0.3", "VNODEID=pcvm3-1 VERSION=40 nodeattributes ", "", ""}.check(t, tb)
}
