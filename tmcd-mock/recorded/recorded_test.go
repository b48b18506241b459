package recorded

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
)

const file = "../../testdata/vectors/tmcd.jsonl"

// TestLoad counts what the recording's README says is in it.
func TestLoad(t *testing.T) {
	recs, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range recs {
		r := &recs[i]
		counts["all"]++
		if r.Crash {
			counts["crash"]++
		}
		if r.Comparable() {
			counts["comparable"]++
		}
		if r.Scenario != "" {
			counts["scenario"]++
		}
		if r.Site != "" {
			counts["site"]++
		}
		if len(r.Sends) > 1 {
			counts["pieces"]++
		}
	}
	for what, want := range map[string]int{"all": 2885, "crash": 75, "comparable": 2575, "scenario": 19, "site": 34, "pieces": 2} {
		if counts[what] != want {
			t.Errorf("%d %s, want %d", counts[what], what, want)
		}
	}
}

func TestReadMistakes(t *testing.T) {
	const good = `{"id":"a-1","group":"a","binary":"original","transport":"tcp","src_ip":"127.0.0.1","request":"x","reply":"","reply_len":0,"end":"eof"}`
	for _, tc := range []struct{ name, old, new, want string }{
		{"no JSON", good, "{", "2: expected a record"},
		{"no address", "127.0.0.1", "here", "2: src_ip"},
		{"unknown server", "original", "mine", `2: unknown binary "mine"`},
		{"wrong length", `"reply_len":0`, `"reply_len":1`, "2: a-1: reply of 0 bytes, reply_len says 1"},
		{"bad base64", `"reply":""`, `"reply":"","reply_b64":"*"`, "2: reply_b64"},
		{"bad chunk", `"request":"x"`, `"chunks":[5]`, "2: a-1: chunks"},
		{"bad repeat", `"request":"x"`, `"request_repeat":{"head":"a","byte":"xy","total":9}`, "2: a-1: request_repeat wants one byte"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(good + "\n" + strings.Replace(good, tc.old, tc.new, 1) + "\n"))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// TestCompare: order counts but where it means nothing.
func TestCompare(t *testing.T) {
	full := func(ifconfig, accounts string) string {
		return "*** ifconfig\n" + ifconfig + "*** ifconfig\n*** accounts\n" + accounts + "*** accounts\n"
	}
	for _, tc := range []struct {
		name, request, want, got string
		equal                    bool
	}{
		{"the same", "status ", "FREE\n", "FREE\n", true},
		{"another byte", "status ", "FREE\n", "FREE", false},
		{"accounts in another order", "accounts ", "a\nb\n", "b\na\n", false},
		{"ifconfig in another order", "ifconfig ", "a\nb\n", "b\na\n", true},
		{"a line less", "ifconfig ", "a\na\nb\n", "a\nb\n", false},
		{"a line once more", "ifconfig ", "a\nb\n", "a\nb\nb\n", false},
		{"no end", "ifconfig ", "a\nb\n", "b\na", false},
		{"by prefix", "VERSION=40 tunnelsX ", "a\nb\n", "b\na\n", true},
		{"users of mounts", "mounts ", "F\nLOCAL=/users/a\nLOCAL=/users/b\n", "F\nLOCAL=/users/b\nLOCAL=/users/a\n", true},
		{"others of mounts", "mounts ", "LOCAL=/proj\nLOCAL=/share\n", "LOCAL=/share\nLOCAL=/proj\n", false},
		{"a user before the rest", "mounts ", "F\nLOCAL=/users/a\n", "LOCAL=/users/a\nF\n", false},
		{"units of hwinfo", "hwinfo ", "N\nNETUNIT a\nNETUNIT b\n", "N\nNETUNIT b\nNETUNIT a\n", true},
		{"a block by its rule", "fullconfig ", full("a\nb\n", "x\n"), full("b\na\n", "x\n"), true},
		{"another block by its own", "fullconfig ", full("a\n", "x\ny\n"), full("a\n", "y\nx\n"), false},
		{"a line in another block", "fullconfig ", full("a\nb\n", ""), full("a\n", "b\n"), false},
		{"a block cut off", "fullconfig ", full("a\n", ""), "*** ifconfig\na\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Record{ID: "t-1", Sends: []Send{{Bytes: []byte(tc.request)}}, Reply: []byte(tc.want)}
			if got := r.Equal([]byte(tc.got)); got != tc.equal {
				t.Errorf("equal is %v:\n%s", got, r.Diff([]byte(tc.got)))
			}
		})
	}
}

func TestSameEnd(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{{"eof", "reset", true}, {"epipe", "eof", true}, {"eof", "datagram", false}, {"datagram", "no-datagram", false}} {
		if r := (Record{End: tc.a}); r.SameEnd(tc.b) != tc.same {
			t.Errorf("%s and %s: not %v", tc.a, tc.b, tc.same)
		}
	}
}

// TestClient sends to a server of three lines that echoes.
func TestClient(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 100)
			n, _ := c.Read(buf)
			_, _ = c.Write(append([]byte(c.RemoteAddr().(*net.TCPAddr).IP.String()+" "), buf[:n]...))
			_ = c.Close()
		}
	}()
	client := Client{Addr: netip.MustParseAddrPort(l.Addr().String())}
	r := Record{ID: "t-1", Transport: "tcp", Source: netip.MustParseAddr("127.0.0.1"), Sends: []Send{{Bytes: []byte("hello")}}, End: "eof"}
	reply, end, err := client.Do(context.Background(), &r)
	if err != nil || string(reply) != "127.0.0.1 hello" || !r.SameEnd(end) {
		t.Errorf("reply %q, end %q, error %v", reply, end, err)
	}
	r.Transport = "ssl"
	if _, _, err := client.Do(context.Background(), &r); err == nil {
		t.Error("TLS without a certificate: no error")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	<-done
	if _, _, err := client.Do(context.Background(), &r); err == nil {
		t.Error("nobody listens: no error")
	}
}
