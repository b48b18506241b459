package conformance

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Without leave, nothing that writes is sent, however it is written.
func TestHarmless(t *testing.T) {
	for _, c := range []struct {
		request string
		writes  bool
	}{
		{"VERSION=40 nodeid ", false},
		{"VERSION=40 status bootlog ", false},
		{"VERSION=40  bootlog x", true},
		{" accounts ", true},
		{"VNODEID=pcvm1-1 VERSION=40 state ISUP ", true},
		{"statement ISUP", true},
		{"VERSION=abc reset", true},
		{"reboot", true},
		{"fullconfigX", true},
		{"isalive\n", true},
		{"", false},
	} {
		if got := writes(c.request); got != c.writes {
			t.Errorf("%q writes: %v, want %v", c.request, got, c.writes)
		}
	}
	p := &probe{ctx: context.Background(), t: &Target{Addr: netip.MustParseAddrPort("127.0.0.1:1")}}
	if _, err := p.converse(host(""), false, step{send: "VERSION=40 book"}, step{send: " x"}); err == nil || strings.Contains(err.Error(), "would write") {
		t.Errorf("harmless pieces: %v", err)
	}
	if _, err := p.converse(host(""), false, step{send: "VERSION=40 boot"}, step{send: "log x"}); err == nil || !strings.Contains(err.Error(), "would write") {
		t.Errorf("a writing request in pieces: %v", err)
	}
}

// What a row needs follows from what it asks.
func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		q    question
		want string
	}{
		{host("VERSION=40 nodeid "), ""},
		{host("VNODEID={vnode} nodeid "), "vnode"},
		{host("VNODEID={sibling} state X ").over(overTL).by(asRemote), "sibling, remote, TLS, write"},
		{host("PRIVKEY={privkey} nodeid ").by(asStranger), "stranger, privkey"},
		{host("VNODEID={foreign} nodeid ").by(asFree), "foreign, free"},
	} {
		if got := c.q.needs().String(); got != c.want {
			t.Errorf("%v needs %q, want %q", c.q, got, c.want)
		}
	}
}

// A datagram that comes late is an answer where one is wanted. Where none is
// wanted nobody waits that long.
func TestLateDatagram(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	late := host("VERSION=40 nodeid ").over(udp)
	go func() {
		defer close(done)
		for b := make([]byte, 100); ; {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if string(b[:n]) == late.text {
				time.Sleep(silence + 100*time.Millisecond)
				conn.WriteTo(b[:n], from)
			}
		}
	}()
	p := &probe{ctx: t.Context(), t: &Target{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}}
	if b, err := p.ask(late); err != nil || b != late.text {
		t.Errorf("an answer that comes late: %q, %v", b, err)
	}
	begin := time.Now()
	if err := p.none(host("VERSION=40 nosuchcommand ").over(udp)); err != nil || time.Since(begin) >= patience {
		t.Errorf("no answer: %v after %v", err, time.Since(begin))
	}
}
