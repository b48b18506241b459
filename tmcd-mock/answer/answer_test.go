package answer_test

import (
	"bytes"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
)

// TestIdentify: who is taken for whom (docs/spec/protocol.md §3).
func TestIdentify(t *testing.T) {
	tb := recordedBed(t)
	const key = "PRIVKEY=0123456789abcdef0123456789abcdef "
	for _, tc := range []struct{ name, src, request, node, host, why string }{
		{"by address", "127.0.0.1", "nodeid ", "pc1", "pc1", ""},
		{"mapped address", "::ffff:127.0.0.1", "nodeid ", "pc1", "pc1", ""},
		{"a jail with an interface row", "172.17.1.1", "nodeid ", "pcvm1-1", "pc1", ""},
		{"a jail without one", "172.17.1.3", "nodeid ", "", "", "no node has the control address 172.17.1.3"},
		{"a jail without one, by name", "172.17.1.3", "VNODEID=pcvm1-3 nodeid ", "pcvm1-3", "pc1", ""},
		{"the host for its vnode", "127.0.0.1", "VNODEID=pcvm1-1 nodeid ", "pcvm1-1", "pc1", ""},
		{"the vnode through the proxy", "127.0.0.1", "PROXYFOR=pcvm1-1 nodeid ", "pcvm1-1", "pc1", ""},
		{"any case", "127.0.0.1", "VNODEID=PCVM1-1 nodeid ", "pcvm1-1", "pc1", ""},
		{"itself by name", "127.0.0.1", "VNODEID=pc1 nodeid ", "pc1", "pc1", ""},
		{"another host's vnode", "127.0.0.4", "VNODEID=pcvm1-1 nodeid ", "", "", "vnode pcvm1-1 is not of the host at 127.0.0.4"},
		{"a name of the experiment", "127.0.0.1", "VNODEID=node-a nodeid ", "", "", `no such vnode "node-a"`},
		{"by key from anywhere", "10.9.9.9", key + "nodeid ", "pcwa1", "pcwa1", ""},
		{"a vnode by its host's key", "10.9.9.9", key + "VNODEID=pcvwa1-1 nodeid ", "pcvwa1-1", "pcwa1", ""},
		{"another's vnode by a key", "127.0.0.1", key + "VNODEID=pcvm1-1 nodeid ", "", "", "vnode pcvm1-1 is not of the host at 127.0.0.1"},
		{"a wrong key", "127.0.0.1", "PRIVKEY=00000000000000000000000000000000 nodeid ", "", "", "no node has this PRIVKEY"},
		{"an external key", "10.9.9.9", "IDKEY=extkey123 nodeid ", "pc4", "pc4", ""},
		{"redirect from boss", "10.1.32.70", "REDIRECT=127.0.0.4 nodeid ", "pc4", "pc4", ""},
		{"redirect from elsewhere", "127.0.0.4", "REDIRECT=127.0.0.1 nodeid ", "", "", "REDIRECT= from an address that is not boss's own"},
		{"nobody", "127.0.0.99", "nodeid ", "", "", "no node has the control address 127.0.0.99"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := ask(t, tb, tc.src, answer.TCP, tc.request)
			if res.Node != tc.node || res.Host != tc.host || res.Why != tc.why {
				t.Errorf("node %q, host %q, why %q; want %q, %q, %q", res.Node, res.Host, res.Why, tc.node, tc.host, tc.why)
			}
			want := tc.node + "\n"
			if tc.name == "any case" {
				want = "PCVM1-1\n" // the name is said as it was asked
			}
			if tc.why == "" && string(res.Reply) != want {
				t.Errorf("reply %q, want %q", res.Reply, want)
			}
		})
	}
}

func TestHostOf(t *testing.T) {
	tb := recordedBed(t)
	for addr, want := range map[string]string{"127.0.0.11": "pcwa1", "::ffff:127.0.0.3": "pc3", "127.0.0.99": "", "10.1.1.1": ""} {
		if got := answer.HostOf(tb, netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
}

// TestChecks: what is refused, and the reason for the log, in tmcd's order
// (docs/spec/protocol.md §4).
func TestChecks(t *testing.T) {
	tb := recordedBed(t)
	for _, tc := range []struct {
		name, src string
		way       answer.Transport
		request   string
		why       string
	}{
		{"control node without TLS", "127.0.0.20", answer.TCP, "nodeid ", "control node ops without TLS"},
		{"control node over UDP", "127.0.0.20", answer.UDP, "nodeid ", ""},
		{"control node over TLS", "127.0.0.20", answer.TLS, "nodeid ", ""},
		{"control node, unknown command", "127.0.0.20", answer.TLS, "stat ", `unknown command "stat"`},
		{"remote over UDP", "127.0.0.11", answer.UDP, "status ", "status over UDP from remote node pcwa1"},
		{"remote over UDP, one of the four", "127.0.0.11", answer.UDP, "isalive ", ""},
		{"remote secret without TLS", "127.0.0.11", answer.TCP, "keyhash ", "keyhash without TLS from remote node pcwa1"},
		{"local secret without TLS", "127.0.0.1", answer.TCP, "keyhash ", ""},
		{"free", "127.0.0.2", answer.TCP, "hostnames ", "hostnames from pc2, which is free"},
		{"free, what anyone may ask", "127.0.0.2", answer.TCP, "status ", ""},
		{"remote before free", "127.0.0.12", answer.UDP, "hostnames ", "hostnames over UDP from remote node pcwa2"},
		{"TPM without TLS", "127.0.0.1", answer.TCP, "imagekey ", "imagekey without TLS"},
		{"TPM with TLS", "127.0.0.1", answer.TLS, "imagekey ", "imagekey without a certificate of the node's TPM"},
		{"accounts over UDP", "127.0.0.1", answer.UDP, "VERSION=40 accounts ", "accounts over UDP"},
		{"accounts of a free node", "127.0.0.2", answer.TCP, "VERSION=40 accounts ", "accounts from pc2, which is free"},
		{"arpinfo without TLS", "127.0.0.1", answer.TCP, "arpinfo ", "arpinfo without TLS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ask(t, tb, tc.src, tc.way, tc.request).Why; got != tc.why && !strings.HasPrefix(got, tc.why+" ") {
				t.Errorf("why %q, want %q", got, tc.why)
			}
		})
	}
}

// TestAdmit makes the checks and nothing else.
func TestAdmit(t *testing.T) {
	tb := recordedBed(t)
	req, err := protocol.ParseRequest([]byte("VERSION=40 isalive "))
	if err != nil {
		t.Fatal(err)
	}
	res := answer.Admit(tb, answer.Query{Source: netip.MustParseAddr("127.0.0.1"), Transport: answer.TCP, Request: req})
	if res.Why != "" || res.Node != "pc1" || len(res.Reply)+len(res.Changes)+len(res.Reports) > 0 {
		t.Errorf("%+v", res)
	}
}

// TestFullConfig: the blocks of a vnode and of a host, and that a remote node
// gets no secrets without TLS.
func TestFullConfig(t *testing.T) {
	tb := recordedBed(t)
	names := func(src string, way answer.Transport, request string) string {
		blocks, err := protocol.SplitFullConfig(ask(t, tb, src, way, request).Reply)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, b := range blocks {
			list = append(list, b.Command)
		}
		return " " + strings.Join(list, " ") + " "
	}
	vnode := names("127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 fullconfig ")
	host := names("127.0.0.1", answer.TCP, "VERSION=40 fullconfig ")
	remote := names("127.0.0.11", answer.TCP, "VNODEID=pcvwa1-1 VERSION=40 fullconfig ")
	remoteTLS := names("127.0.0.11", answer.TLS, "VNODEID=pcvwa1-1 VERSION=40 fullconfig ")
	for _, tc := range []struct {
		blocks, has, lacks string
	}{{vnode, "jailconfig", "vnodelist"}, {host, "vnodelist", "jailconfig"}, {host, "ntpinfo", "hostnames"},
		{vnode, "keyhash", "tpmdummy"}, {remote, "jailconfig", "keyhash"}, {remote, "ifconfig", "accounts"}, {remoteTLS, "keyhash", "tpmdummy"}} {
		if !strings.Contains(tc.blocks, " "+tc.has+" ") || strings.Contains(tc.blocks, " "+tc.lacks+" ") {
			t.Errorf("want %s and not %s in%s", tc.has, tc.lacks, tc.blocks)
		}
	}
}

// TestAtOnce: many ask and change at once, and each gets a whole answer.
func TestAtOnce(t *testing.T) {
	tb := recordedBed(t)
	want := ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 hostnames ").Reply
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if got := ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 hostnames ").Reply; !bytes.Equal(got, want) {
					t.Errorf("got %q", got)
				}
				ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 fullconfig ")
				ask(t, tb, "127.0.0.1", answer.UDP, "VNODEID=pcvm1-1 VERSION=40 isalive ")
			}
		})
	}
	all.Wait()
}

func BenchmarkFullConfig(b *testing.B) {
	tb := recordedBed(b)
	for b.Loop() {
		if res := ask(b, tb, "127.0.0.1", answer.TCP, "PROXYFOR=pcvm1-1 VERSION=40 fullconfig "); len(res.Reply) == 0 {
			b.Fatal(res.Why)
		}
	}
}

func BenchmarkStatus(b *testing.B) {
	tb := recordedBed(b)
	for b.Loop() {
		if res := ask(b, tb, "127.0.0.1", answer.TCP, "PROXYFOR=pcvm1-1 VERSION=40 status "); len(res.Reply) == 0 {
			b.Fatal(res.Why)
		}
	}
}
