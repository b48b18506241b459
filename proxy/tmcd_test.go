package proxy

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// T29 of docs/spec/peers.md: redirects only from the first bytes of an answer,
// only to hosts that the operator listed.
func TestT29Redirects(t *testing.T) {
	second := startTmcdAt(t, "127.0.0.3:0", nil)
	stranger := startTmcd(t, nil)
	for _, row := range []struct {
		name, reply string
		want        string // in the answer; empty: an error
	}{
		{"by name", "REDIRECT=subboss.example\n", "as=pcvm1-1 command=status"},
		{"by address", "REDIRECT=127.0.0.3\n", "as=pcvm1-1 command=status"},
		{"without newline", "REDIRECT=subboss.example", "as=pcvm1-1 command=status"},
		{"to a stranger", "REDIRECT=127.0.0.2\n", ""},
		{"to a name nobody listed", "REDIRECT=localhost\n", ""},
		{"in another jail's name", "REDIRECT=subboss.example:pcvm1-2\n", ""},
		{"not at the start", "x\nREDIRECT=127.0.0.2\n", "x\nREDIRECT=127.0.0.2\n"},
		{"another word", "REDIRECTED=127.0.0.2\n", "REDIRECTED=127.0.0.2\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			first := startTmcd(t, func(c net.Conn, _ []byte, _ protocol.Request) { io.WriteString(c, row.reply) })
			sub := second.server()
			sub.Name = "subboss.example"
			boss := first.server()
			path := serveAlone(t, Options{Tmcd: Tmcd{Servers: []client.Server{boss}, Redirects: []client.Server{sub}}})
			reply, err := ask(t, path, "status ")
			if row.want == "" && !isReset(err) || row.want != "" && (err != nil || !strings.HasPrefix(reply, row.want)) {
				t.Errorf("%q, %v", reply, err)
			}
		})
	}
	if n := len(stranger.requests()); n != 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
}

func TestServersAreTriedInOrderOfHealth(t *testing.T) {
	gone, _ := net.Listen("tcp", "127.0.0.1:0")
	dead := &fakeTmcd{addr: netip.MustParseAddrPort(gone.Addr().String())}
	gone.Close()
	alive := startTmcd(t, nil)
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(dead, alive)}})
	for range 3 {
		if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
			t.Errorf("%q, %v", reply, err)
		}
	}
}

func TestHealth(t *testing.T) {
	s, err := newTmcds(Tmcd{Servers: []client.Server{
		{Name: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}},
		{Name: "b", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
	}}, DefaultDeadlines(), func() {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := func(at time.Time) string { return s.inOrder(at)[0].server.Name }
	now := time.Now()
	if first(now) != "a" {
		t.Error("the operator's order")
	}
	s.all[0].bad(now)
	s.all[0].bad(now) // at the same time: one failure
	if first(now) != "b" || first(now.Add(retryMin)) != "a" {
		t.Error("after one failure")
	}
	now = now.Add(retryMin)
	s.all[0].bad(now)
	if first(now.Add(retryMin)) != "b" || first(now.Add(2*retryMin)) != "a" {
		t.Error("after two")
	}
	s.all[1].bad(now)
	if n := len(s.inOrder(now)); n != 2 {
		t.Errorf("both failed: %d to try", n)
	}
	s.all[0].good()
	if first(now) != "a" {
		t.Error("well again")
	}
}

func TestTmcdThatIsAwayForAWhileIsWaitedFor(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	away := &fakeTmcd{addr: netip.MustParseAddrPort(addr)}
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(away)}, Deadlines: Deadlines{Tmcd: 10 * time.Second}})
	conn := dial(t, path)
	defer conn.Close()
	conn.Write([]byte("status "))
	conn.CloseWrite()
	time.AfterFunc(300*time.Millisecond, func() {
		if ln, err = net.Listen("tcp", addr); err == nil {
			c, err := ln.Accept()
			if err == nil {
				away.one(c)
			}
			ln.Close()
		}
	})
	if reply, err := io.ReadAll(conn); err != nil || !strings.Contains(string(reply), "as=pcvm1-1 ") {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestTmcdThatStaysAwayIsAnError(t *testing.T) {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	ln.Close()
	log := &auditLog{}
	away := &fakeTmcd{addr: netip.MustParseAddrPort(ln.Addr().String())}
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(away)}, Audit: log, Deadlines: Deadlines{Tmcd: 300 * time.Millisecond}})
	if reply, err := ask(t, path, "status "); !isReset(err) {
		t.Errorf("%q, %v", reply, err)
	}
	if l := log.wait(t, 1)[0]; l.Outcome != "error" || !strings.HasPrefix(l.Why, errAway.Error()) {
		t.Errorf("%+v", l)
	}
}

// Decision 6 of docs/design.md, T48 of docs/spec/peers.md: the header claims
// this host's own address and, for logs, the jail.
func TestT48ProxyHeader(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := &fakeTmcd{addr: netip.MustParseAddrPort(ln.Addr().String())}
	wrapped := &proxyproto.Listener{Listener: ln}
	got := make(chan *proxyproto.Conn, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := wrapped.Accept()
		if err != nil {
			return
		}
		plain.one(c)
		got <- c.(*proxyproto.Conn)
	}()
	defer func() { ln.Close(); <-done }()
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(plain), ProxyHeader: map[string]bool{"boss.example": true}}})
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Fatalf("%q, %v", reply, err)
	}
	c := <-got
	h := c.ProxyHeader()
	if h == nil || h.SourceAddr.String() != c.Raw().RemoteAddr().String() {
		t.Fatalf("header %+v", h)
	}
	tlvs, err := h.TLVs()
	if err != nil || len(tlvs) != 1 || tlvs[0].Type != 0x05 || !bytes.Equal(tlvs[0].Value, []byte("pcvm1-1")) {
		t.Errorf("TLVs %v, %v", tlvs, err)
	}
}

// Over UDP, only the tmcd that was asked can answer.
func TestForgedDatagramsAreDropped(t *testing.T) {
	tmcd := startTmcd(t, nil)
	real, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(tmcd.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	forger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer forger.Close()
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Deadlines: Deadlines{Datagram: 2 * time.Second}})
	conn := dial(t, path)
	defer conn.Close()
	conn.Write([]byte("USEUDP=1 VERSION=40 isalive "))
	conn.CloseWrite()
	buf := make([]byte, 1000)
	real.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := real.ReadFromUDP(buf)
	if err != nil || string(buf[:n]) != "PROXYFOR=pcvm1-1 VERSION=40 isalive " {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	forger.WriteToUDP([]byte("forged"), from)
	real.WriteToUDP([]byte("real"), from)
	if reply, err := io.ReadAll(conn); err != nil || string(reply) != "real" {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestBossinfoIsAnsweredHere(t *testing.T) {
	tmcd := startTmcd(t, nil)
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}})
	if reply, err := ask(t, path, "VERSION=40 bossinfo "); err != nil || reply != "boss.example 127.0.0.1\n" {
		t.Errorf("%q, %v", reply, err)
	}
	if n := len(tmcd.requests()); n != 0 {
		t.Errorf("tmcd was asked %d times", n)
	}
}
