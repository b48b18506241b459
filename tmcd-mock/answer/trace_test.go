package answer_test

import "testing"

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
