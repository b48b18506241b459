package answer_test

import (
	"strconv"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// columns are a row, or what to set in one.
type columns = testbed.Columns

// with is the recorded testbed with more rows in one table after the other.
func with(t *testing.T, tables ...any) *testbed.Testbed {
	t.Helper()
	tb := recordedBed(t)
	for i := 0; i < len(tables); i += 2 {
		for n, row := range tables[i+1].([]columns) {
			tb.Apply([]testbed.Change{{Table: tables[i].(string), Op: testbed.Upsert, Set: row,
				Where: map[string]string{"emujail-test": strconv.Itoa(i) + "-" + strconv.Itoa(n)}}})
		}
	}
	return tb
}

// alter changes the rows of one node, experiment or whatever key=value names.
func alter(tb *testbed.Testbed, table, key, value string, to columns) {
	tb.Apply([]testbed.Change{{Table: table, Where: map[string]string{key: value}, Set: to}})
}

// visit is a request of pc1, or of another host, and the whole answer.
type visit struct {
	name, src, request, want string
	way                      answer.Transport
}

func (v visit) check(t *testing.T, tb *testbed.Testbed) {
	t.Helper()
	if v.src == "" {
		v.src = "127.0.0.1"
	}
	if v.way == "" {
		v.way = answer.TCP
	}
	if got := string(ask(t, tb, v.src, v.way, v.request).Reply); got != v.want {
		t.Errorf("%s: %q from %s\ngot  %q\nwant %q", v.name, v.request, v.src, got, v.want)
	}
}

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

// TestTraces: a host's ends are interfaces and it learns the traced node's MAC
// address; a vnode's are virtual interfaces of its own.
func TestTraces(t *testing.T) {
	tb := with(t, "traces", []columns{
		{"node_id": "pc5", "idx": int64(7), "iface0": "eth1", "iface1": "eth2", "linkvname": "link0", "vnode": "phys0", "trace_type": "packet", "trace_snaplen": int64(0)},
		{"node_id": "pcvm1-2", "idx": int64(8), "iface0": "veth1", "iface1": "veth5", "linkvname": "lan0", "vnode": "node-b", "trace_type": "header", "trace_expr": "ip", "trace_snaplen": int64(64)},
	}, "virt_lans", []columns{
		{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "vname": "link0", "vnode": "phys0", "vport": int64(5), "ip": "10.2.1.2"},
		{"pid": "testbed", "eid": "physdemo", "exptidx": int64(102), "vname": "link0", "vnode": "phys0", "vport": int64(6), "ip": "10.2.1.9"},
	})
	const host = "TRACE LINKNAME=link0 IDX=7 MAC0=00d0b713f802 MAC1=00d0b713f803 VNODE=phys0 VNODE_MAC="
	const end = " TRACE_TYPE=packet TRACE_EXPR='' TRACE_SNAPLEN=0\n"
	visit{"a host", "127.0.0.5", "VERSION=40 traceinfo ", host + "00d0b713f702" + end + host + end, ""}.check(t, tb)
	visit{"a vnode", "", "VNODEID=pcvm1-2 VERSION=40 traceinfo ",
		"TRACE LINKNAME=lan0 IDX=8 MAC0= MAC1=020a01020301 VNODE=node-b VNODE_MAC= TRACE_TYPE=header TRACE_EXPR='ip' TRACE_SNAPLEN=64\n", ""}.check(t, tb)
}

// TestMoteLog: with and without the row of the file.
func TestMoteLog(t *testing.T) {
	tb := with(t, "virt_node_motelog", []columns{
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-a", "logfileid": "l1"},
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-a", "logfileid": "l2"},
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-b", "logfileid": "l1"},
	}, "motelogfiles", []columns{
		{"logfileid": "l1", "pid": "testbed", "classfilepath": "/proj/c.class", "specfilepath": "/proj/s"},
		{"logfileid": "l1", "pid": "other", "classfilepath": "/x", "specfilepath": "/y"},
	})
	visit{"its own", "", "VNODEID=pcvm1-1 VERSION=40 motelog ",
		"MOTELOGID=l1 CLASSFILE=/proj/c.class SPECFILE=/proj/s\nMOTELOGID=l2 CLASSFILE= SPECFILE=\n", ""}.check(t, tb)
	visit{"none", "", "VNODEID=pcvm1-3 VERSION=40 motelog ", "", ""}.check(t, tb)
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

// TestPlabEventKeys: a service slice learns the keys of all on its host.
func TestPlabEventKeys(t *testing.T) {
	tb := with(t, "plab_slices", []columns{{"pid": "testbed", "eid": "sharedemo", "admin": int64(1)}, {"pid": "testbed", "eid": "jaildemo", "admin": int64(0)}})
	visit{"a service slice", "127.0.0.3", "VNODEID=pcvm3-1 VERSION=40 plabeventkeys ", "PID=emulab-ops EID=shared-nodes KEY=\n" +
		"PID=testbed EID=sharedemo KEY=\nPID=geniproj EID=genislice KEY=\nPID=geniproj EID=genislice KEY=\n", ""}.check(t, tb)
	visit{"another slice", "", "VNODEID=pcvm1-1 VERSION=40 plabeventkeys ", "", ""}.check(t, tb)
	visit{"a host", "127.0.0.3", "VERSION=40 plabeventkeys ", "", ""}.check(t, tb)
}

// TestLocalization: an empty key is told, one that isn't there isn't.
func TestLocalization(t *testing.T) {
	for value, want := range map[any]string{"": "ROOTPUBKEY=''\n", nil: "", "k": "ROOTPUBKEY='k'\n"} {
		tb := recordedBed(t)
		alter(tb, "sitevariables", "name", "node/ssh_pubkey", columns{"value": value, "defaultvalue": "other"})
		visit{"key", "", "VERSION=40 localization ", want, ""}.check(t, tb)
	}
}

// TestTmccTest: a test is what the text begins with; a delay is for UDP too.
func TestTmccTest(t *testing.T) {
	tb := recordedBed(t)
	for _, v := range []visit{
		{"of any length", "", "VERSION=40 tmcctest noreplyatall ", "", answer.UDP},
		{"over UDP", "", "VERSION=40 tmcctest delayreply 3 ", "replied after 3 seconds\n", answer.UDP},
		{"no delay", "", "VERSION=40 tmcctest delayreply 0 ", "replied after 0 seconds\n", ""},
		{"no blank", "", "VERSION=40 tmcctest delayreply2x ", "replied after 2 seconds\n", ""},
		{"no number", "", "VERSION=40 tmcctest delayreply ", "bogus delay value\n", ""},
		{"split over UDP", "", "VERSION=40 tmcctest splitreply ", "no such UDP test\n", answer.UDP},
	} {
		v.check(t, tb)
	}
}
