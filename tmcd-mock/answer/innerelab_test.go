package answer_test

import (
	"testing"

	"emujail/tmcd-mock/testbed"
)

// innerBed is the recorded testbed with an inner Emulab in testbed/jaildemo.
func innerBed(t *testing.T, more ...any) *testbed.Testbed {
	t.Helper()
	tb := with(t, more...)
	alter(tb, "experiments", "idx", "100", columns{"elab_in_elab": int64(1)})
	alter(tb, "reserved", "node_id", "pcvm1-1", columns{"inner_elab_role": "ops+fs"})
	alter(tb, "reserved", "node_id", "pcvm1-2", columns{"inner_elab_role": "boss+router"})
	return tb
}

// TestEmulabConfig: servers in the order of the nodes, a line for each of their
// LANs; a node without a role learns all but its own.
func TestEmulabConfig(t *testing.T) {
	const ops = "OPSNODE=node-a\nOPSIP=10.1.1.2\nOPSNODE=node-a\nOPSIP=10.1.2.2\n"
	const boss = "BOSSNODE=node-b\nBOSSIP=10.1.1.3\nBOSSNODE=node-b\nBOSSIP=10.1.2.3\nBOSSNODE=node-b\nBOSSIP=10.1.3.2\n"
	const software = "BOSS_PKG=\nBOSS_PKG_DIR=\nOPS_PKG=\nOPS_PKG_DIR=\nWINSUPPORT=1\n"
	tb := innerBed(t)
	visit{"ops", "", "VNODEID=pcvm1-1 VERSION=40 emulabconfig ", "ROLE=ops+fs\n" + ops + boss + software + "SINGLE_CONTROLNET=0\n", ""}.check(t, tb)
	visit{"no role", "", "VNODEID=pcvm1-3 VERSION=40 emulabconfig ", ops + boss + software + "SINGLE_CONTROLNET=0\n", ""}.check(t, tb)
	visit{"a name in other letters", "", "VNODEID=PCVM1-1 VERSION=40 emulabconfig ", ops + boss + software + "SINGLE_CONTROLNET=0\n", ""}.check(t, tb)
	alter(tb, "experiments", "idx", "100", columns{"elabinelab_singlenet": int64(1), "elabinelab_cvstag": "stable"})
	visit{"one network", "", "VNODEID=pcvm1-2 VERSION=40 emulabconfig ", "ROLE=boss+router\nOPSNODE=node-a\nOPSIP=172.17.1.1\n" +
		"BOSSNODE=node-b\nBOSSIP=172.17.1.2\n" + software + "CVSSRCTAG=stable\nSINGLE_CONTROLNET=1\n", ""}.check(t, tb)
	alter(tb, "reserved", "node_id", "pcvm1-1", columns{"inner_elab_role": nil})
	alter(tb, "reserved", "node_id", "pcvm1-2", columns{"inner_elab_role": nil})
	visit{"no roles at all", "", "VNODEID=pcvm1-2 VERSION=40 emulabconfig ", "", ""}.check(t, tb)
}

// TestEmulabConfigMore: an address that is not on an interface, the site's
// packages by name, and the attributes of both parts of a role.
func TestEmulabConfigMore(t *testing.T) {
	attr := func(role, key string, value any, ordering int) columns {
		return columns{"exptidx": int64(100), "role": role, "attrkey": key, "attrvalue": value, "ordering": int64(ordering)}
	}
	tb := innerBed(t, "sitevariables", []columns{{"name": "elabinelab/windows", "value": "0"}, {"name": "elabinelab/fs_pkg", "value": "fs-1", "defaultvalue": "x"}},
		"elabinelab_attributes", []columns{attr("fs", "F", "f", 2), attr("ops", "O", "o", 1), attr("boss", "B", "b", 0), attr("ops", "N", nil, 0), attr("ops", "E", "", 3)})
	alter(tb, "experiments", "idx", "100", columns{"elabinelab_singlenet": int64(1)})
	alter(tb, "reserved", "node_id", "pcvm1-3", columns{"inner_elab_role": "fs"})
	visit{"ops and fs", "", "VNODEID=pcvm1-1 VERSION=40 emulabconfig ", "ROLE=ops+fs\nOPSNODE=node-a\nOPSIP=172.17.1.1\nBOSSNODE=node-b\n" +
		"BOSSIP=172.17.1.2\nFSNODE=node-c\nFSIP=172.17.1.3\nFS_PKG=fs-1\nWINSUPPORT=0\nSINGLE_CONTROLNET=1\nO=\"o\"\nF=\"f\"\nE=\"\"\n", ""}.check(t, tb)
	visit{"the host", "", "VERSION=40 emulabconfig ", "OPSNODE=node-a\nOPSIP=172.17.1.1\nBOSSNODE=node-b\n" +
		"BOSSIP=172.17.1.2\nFSNODE=node-c\nFSIP=\nFS_PKG=fs-1\nWINSUPPORT=0\nSINGLE_CONTROLNET=1\n", ""}.check(t, tb)
}

// TestEPlabConfig: the PLC node comes first and again in its place.
func TestEPlabConfig(t *testing.T) {
	tb := with(t, "virt_lans", []columns{
		{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "vname": "plcnet", "vnode": "phys0", "vport": int64(5), "ip": "10.2.1.2"}},
		"virt_nodes", []columns{{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "vname": "phys0", "plab_role": "node", "plab_plcnet": "plcnet"}})
	alter(tb, "reserved", "node_id", "pc5", columns{"plab_role": "plc"})
	alter(tb, "reserved", "node_id", "pc4", columns{"plab_role": "node"})
	const plc = "VNAME=tbsdelay0 PNAME=pc5.example.emulab.net ROLE=plc CNETIP=127.0.0.5 CNETMAC=00d0b713f801\n"
	const node = "VNAME=phys0 PNAME=pc4.example.emulab.net ROLE=node CNETIP=127.0.0.4 CNETMAC=00d0b713f701\n"
	port := "VNAME=phys0 IP=10.2.1.2 NETMASK=255.255.255.0 MAC=00d0b713f702\n"
	const network = "VNAME=phys0 PNAME=pc4.example.emulab.net PLCNETWORK=plcnet ROLE=node IP=10.2.1.2 NETMASK=255.255.255.0 MAC=00d0b713f702\n"
	alter(tb, "virt_lans", "vname", "plink", columns{"ip": "10.99.0.1"}) // what the recorded LAN has
	visit{"PLC", "127.0.0.5", "VERSION=40 eplabconfig ", plc + node + plc + port + network, ""}.check(t, tb)
	visit{"a node", "127.0.0.4", "VERSION=40 eplabconfig ", "", ""}.check(t, tb)
	alter(tb, "reserved", "node_id", "pc5", columns{"vname": "plc"})
	alter(tb, "virt_nodes", "vname", "phys0", columns{"plab_plcnet": "control"})
	visit{"PLC by name", "127.0.0.5", "VERSION=40 eplabconfig ",
		"VNAME=plc PNAME=pc5.example.emulab.net ROLE=plc CNETIP=127.0.0.5 CNETMAC=00d0b713f801\n" + node + port, ""}.check(t, tb)
}
