package answer_test

import "testing"

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
