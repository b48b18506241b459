package answer_test

import (
	"strings"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
)

// TestT39OtherHostsVnode: a host that asks for a vnode of another host gets silence and changes nothing, whatever
// it asks, however it says so, on every transport; the host of the vnode is answered.
func TestT39OtherHostsVnode(t *testing.T) {
	const own, other = "127.0.0.1", "127.0.0.4" // pc1, pcvm1-1's host, and pc4
	refusing := recordedBed(t)
	answered := map[answer.Transport]int{}
	for _, way := range []answer.Transport{answer.TCP, answer.UDP, answer.TLS} {
		for _, tag := range []string{"VNODEID=pcvm1-1 ", "PROXYFOR=pcvm1-1 ", "VNODEID=PCVM1-1 "} {
			for _, c := range protocol.Commands() {
				request := tag + "VERSION=40 " + c.Name + " "
				res := ask(t, refusing, other, way, request)
				if len(res.Reply) > 0 || len(res.Changes) > 0 || !strings.Contains(strings.ToLower(res.Why), "pcvm1-1 is not of the host at "+other) {
					t.Errorf("%v %q: reply %q, %d changes, why %q", way, request, res.Reply, len(res.Changes), res.Why)
				}
				if len(ask(t, recordedBed(t), own, way, request).Reply) > 0 {
					answered[way]++
				}
			}
		}
	}
	for way, n := range answered {
		if n < 40 {
			t.Errorf("%v: the vnode's own host got only %d answers", way, n)
		}
	}
	if len(answered) != 3 {
		t.Errorf("the vnode's own host was answered on %d transports of 3", len(answered))
	}
}
