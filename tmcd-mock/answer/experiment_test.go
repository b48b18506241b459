package answer_test

import "testing"

// TestUserEnvOrder: by idx, whatever the order of the rows.
func TestUserEnvOrder(t *testing.T) {
	tb := with(t, "virt_user_environment", []columns{
		{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "idx": int64(10), "name": "B", "value": "2"},
		{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "idx": int64(9), "name": "A", "value": "it's\n1"},
	})
	visit{"by number", "127.0.0.4", "VERSION=40 userenv ", "A=it's\n1\nB=2\n", ""}.check(t, tb)
}

// TestTipTunnelsOfOneName: two lines for a console that two servers have.
func TestTipTunnelsOfOneName(t *testing.T) {
	tb := with(t, "tiplines", []columns{{"tipname": "other", "node_id": "pcvm1-2", "server": "ops", "portnum": int64(1), "keylen": int64(2)},
		{"tipname": "none", "node_id": "pcvm1-2", "portnum": int64(1)}})
	visit{"with and without a server", "", "VNODEID=pcvm1-1 VERSION=40 tiptunnels ",
		"VNODE=node-b SERVER=pc1.example.emulab.net PORT=4501 KEYLEN=8 KEY=deadbeef\nVNODE=node-b SERVER=ops PORT=1 KEYLEN=2 KEY=\n", ""}.check(t, tb)
}

// TestPnetNodeAttrs: two attributes of all nodes of the experiment.
func TestPnetNodeAttrs(t *testing.T) {
	tb := with(t, "node_attributes", []columns{
		{"node_id": "pcvm1-2", "attrkey": "sim_imsi", "attrvalue": "998"},
		{"node_id": "pcvm1-1", "attrkey": "sim_sequence_number", "attrvalue": "17"},
		{"node_id": "pcvm1-1", "attrkey": "sim_imsi", "attrvalue": ""},
		{"node_id": "pc4", "attrkey": "sim_imsi", "attrvalue": "1"},
	})
	visit{"of the experiment", "", "VERSION=40 pnetnodeattrs ",
		"NODE_ID=pcvm1-1 KEY=sim_sequence_number VALUE=17\nNODE_ID=pcvm1-2 KEY=sim_imsi VALUE=998\n", ""}.check(t, tb)
}
