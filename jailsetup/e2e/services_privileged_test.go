//go:build linux && privileged

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestServices: what an experiment may ask for beside accounts, software and
// traffic of ours, in a real jail: a trace of its link, iperf3 as its generator,
// the testbed's map; and what this root hasn't is said.
func TestServices(t *testing.T) {
	i := newInside(t, func(s string) string {
		s = strings.Replace(s, "peer: null1}", "peer: null1, generator: iperf}", 1)
		s = strings.Replace(s, "peer: cbr1}", "peer: cbr1, generator: iperf}", 1)
		return s + `rows:
  traces:
    - {node_id: @V1@, idx: 1, iface0: veth1, iface1: veth1, pid: jails, eid: demo, exptidx: 100, linkvname: lan0, vnode: node-a,
       trace_type: packet, trace_expr: "udp port 5002", trace_snaplen: 0}
`
	})
	i.boot(i.a)
	i.boot(i.b)
	t.Run("a trace holds the link's packets, each way in its own file", func(t *testing.T) {
		i.must("event", "jails/demo", "cbr0", "START", "PACKETSIZE=100", "INTERVAL=0.01")
		defer i.must("event", "jails/demo", "cbr0", "STOP")
		i.await("packets in the trace", func() error {
			got := i.says(i.a, "tcpdump -n -r /local/logs/trace_node-a-lan0.xmit 2>/dev/null | head -n 20; true")
			if !strings.Contains(got, "10.1.1.2.5001 > 10.1.1.3.5002: UDP, length 100") {
				return fmt.Errorf("it has %q", got)
			}
			return nil
		})
		if got := i.says(i.a, "tcpdump -n -r /local/logs/trace_node-a-lan0.recv 2>/dev/null | wc -l"); strings.TrimSpace(got) != "0" {
			t.Errorf("%s packets of a filter for what is sent have been received", strings.TrimSpace(got))
		}
	})
	t.Run("GENERATOR=iperf is iperf3's, by the same events", func(t *testing.T) {
		before, _ := i.device(i.b, "eth1", "rx_bytes")
		i.must("event", "jails/demo", "cbr1", "START", "PACKETSIZE=1000", "RATE=8000")
		i.await("iperf3's traffic", func() error {
			if now, _ := i.device(i.b, "eth1", "rx_bytes"); now-before < 1_000_000 {
				return fmt.Errorf("%d bytes", now-before)
			}
			return nil
		})
		i.must("event", "jails/demo", "cbr1", "STOP")
		i.await("its end", func() error {
			return i.jailsetup("enter", "-T", i.a, "sh", "-c", "! cat /proc/[0-9]*/comm | grep -qx iperf3").err()
		})
		if got := i.says(i.b, "cat /local/logs/null1.iperf3"); !strings.Contains(got, "Accepted connection from 10.1.1.2") {
			t.Errorf("the sink's log says\n%s", got)
		}
	})
	t.Run("not provided", func(t *testing.T) {
		const want = "not provided: syncserver: this node is the sync server, and its root has no emulab-syncd"
		if got := i.must("status", i.a); !strings.Contains(got, want) {
			t.Errorf("status says\n%s", got)
		}
		if got := i.must("status", i.b); strings.Contains(got, "not provided") {
			t.Errorf("status of the other says\n%s", got)
		}
	})
}
