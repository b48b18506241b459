package server

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// header builds a PROXY v2 header by hand: the library that reads it must not have written it.
func header(command byte, from string, tlvs ...string) string {
	addr := netip.MustParseAddr(from)
	family := byte(0x11)
	if addr.Is6() {
		family = 0x21
	}
	if command == 0 {
		family = 0
	}
	var body []byte
	if family != 0 {
		body = append(body, addr.AsSlice()...)
		body = append(body, addr.AsSlice()...) // the destination, which nobody reads
		body = append(body, 0x30, 0x39, 0x1e, 0x61)
	}
	for _, v := range tlvs {
		body = append(body, 0x05, 0, byte(len(v)))
		body = append(body, v...)
	}
	h := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
	return string(append(h, body...))
}

// T48: a balancer may name anybody, a host only itself.
func TestT48ProxyHeader(t *testing.T) {
	const request = "VERSION=40 nodeid "
	for _, row := range []struct {
		name, from, bytes, want, why string
	}{
		{"balancer names a host", "127.0.0.9", header(1, "10.0.0.7") + request, "10.0.0.7 tcp\n", ""},
		{"balancer names IPv6", "127.0.0.9", header(1, "2001:db8::7") + request, "2001:db8::7 tcp\n", ""},
		{"balancer speaks for itself", "127.0.0.9", header(0, "10.0.0.7") + request, "127.0.0.9 tcp\n", ""},
		{"balancer without a header", "127.0.0.9", request, "", "sent no PROXY v2 header"},
		{"host names itself", "127.0.0.1", header(1, "127.0.0.1") + request, "127.0.0.1 tcp\n", ""},
		{"host H claims to be K", "127.0.0.1", header(1, "127.0.0.3") + request, "", "127.0.0.1 claims to be 127.0.0.3"},
		{"host claims the balancer", "127.0.0.1", header(1, "127.0.0.9") + request, "", "claims to be"},
		{"host without a header", "127.0.0.1", request, "127.0.0.1 tcp\n", ""},
		{"too long", "127.0.0.9", header(1, "10.0.0.7", strings.Repeat("x", 250), strings.Repeat("x", 250), strings.Repeat("x", 250), strings.Repeat("x", 250), strings.Repeat("x", 250)) + request, "", "bytes long"},
		{"bad version", "127.0.0.9", strings.Replace(header(1, "10.0.0.7"), "\x21\x11", "\x31\x11", 1) + request, "", "PROXY header"},
		{"cut off", "127.0.0.9", header(1, "10.0.0.7")[:20], "", "EOF"},
		{"a header and nothing else", "127.0.0.9", header(1, "10.0.0.7"), "", ""},
		{"two headers", "127.0.0.9", header(1, "10.0.0.7") + header(1, "10.0.0.8") + request, "", "unknown command"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t, func(o *Options) {
				o.Proxied, o.Balancers = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
			})
			got, err := visit(s, row.from, row.bytes)
			if err != nil && !isReset(err) {
				t.Fatal(err)
			}
			if string(got) != row.want {
				t.Errorf("answer %q, want %q", got, row.want)
			}
			if row.why == "" {
				return
			}
			if e := event(t, s, 1); !strings.Contains(string(e.Why), row.why) {
				t.Errorf("the journal says %q, want …%s…", e.Why, row.why)
			}
		})
	}
}

func TestProxyHeaderIsRefusedUnlessConfigured(t *testing.T) {
	s := start(t, nil)
	if got := ask(t, s, header(1, "127.0.0.1")+"VERSION=40 nodeid "); got != "" {
		t.Errorf("answer %q", got)
	}
	if e := event(t, s, 1); !strings.Contains(string(e.Why), "--proxy-protocol") {
		t.Errorf("the journal says %q", e.Why)
	}
}

// The claim is for people: it is shown, escaped, and changes nothing.
func TestProxyHeadersClaimIsShown(t *testing.T) {
	s := start(t, func(o *Options) { o.Proxied = true })
	if got := ask(t, s, header(1, "127.0.0.1", "pcvm1-1\x1b[2J")+"VERSION=40 nodeid "); got != "127.0.0.1 tcp\n" {
		t.Errorf("answer %q", got)
	}
	if e := event(t, s, 1); e.Claim != `pcvm1-1\x1b[2J` || e.Balancer != "" {
		t.Errorf("claim %q, balancer %q", e.Claim, e.Balancer)
	}
}
