package tlsdial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// A tmcd demands a client certificate, reads one record, answers, and closes.
type tmcd struct {
	ln    net.Listener
	cfg   *tls.Config
	max   uint16 // the newest version that it speaks; 0: any
	reply string
	rude  bool // close without close_notify
	wg    sync.WaitGroup
	mu    sync.Mutex
	heard [][]byte // the record of each connection
	again []bool   // whether its session was resumed
}

func start(t testing.TB, ca *authority, cert tls.Certificate, s *tmcd) *tmcd {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	s.cfg = &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
		MaxVersion: s.max,
	}
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *tmcd) stop() {
	s.ln.Close()
	s.wg.Wait()
}

func (s *tmcd) serve(raw net.Conn) {
	defer raw.Close()
	tag := make([]byte, len(protocol.TLSTag))
	if _, err := io.ReadFull(raw, tag); err != nil || string(tag) != protocol.TLSTag {
		return
	}
	conn := tls.Server(raw, s.cfg)
	buf := make([]byte, protocol.MaxRequest)
	n, err := conn.Read(buf)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.heard = append(s.heard, buf[:n])
	s.again = append(s.again, conn.ConnectionState().DidResume)
	s.mu.Unlock()
	io.WriteString(conn, s.reply)
	if !s.rude {
		conn.Close()
	}
}

func (s *tmcd) boss(name string) client.Server {
	at := netip.MustParseAddrPort(s.ln.Addr().String())
	return client.Server{Name: name, Addrs: []netip.Addr{at.Addr()}, Ports: []int{int(at.Port())}}
}

func ask(t testing.TB, d *Dialer, boss client.Server, args string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.New(client.Options{
		Network: client.TLS, Servers: []client.Server{boss}, Handshake: d.Handshake, RefusedWait: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := c.Do(ctx, protocol.Request{Command: "accounts", HasArgs: true, Args: []byte(args)})
	return string(reply), err
}

// lookup knows boss.example.net as 127.0.0.1 and other.example.net as another.
func lookup(_ context.Context, name string) ([]netip.Addr, error) {
	switch name {
	case "boss.example.net":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	case "other.example.net":
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	}
	return nil, errors.New("no such host")
}

func TestServerCertificate(t *testing.T) {
	ca := newAuthority(t)
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for name, row := range map[string]struct {
		cert subject
		call string // the name by which boss is known
		want string // part of the error; "" = accepted
	}{
		"common name resolves":      {subject{cn: "boss.example.net"}, "", ""},
		"RSA":                       {subject{cn: "boss.example.net", rsa: true}, "", ""},
		"DNS SAN resolves":          {subject{cn: "x", dns: []string{"boss.example.net"}, usage: server}, "", ""},
		"IP SAN":                    {subject{cn: "x", ips: []string{"127.0.0.1"}}, "", ""},
		"name known without asking": {subject{cn: "hidden.example.net"}, "Hidden.example.net.", ""},
		"another's name":            {subject{cn: "other.example.net"}, "", `for "other.example.net", which is not 127.0.0.1`},
		"another's address":         {subject{cn: "other.example.net", ips: []string{"192.0.2.1"}}, "", "which is not 127.0.0.1"},
		"name that doesn't resolve": {subject{cn: "ghost"}, "", "no such host"},
		"no name at all":            {subject{}, "", "for nobody"},
		"called by another's name":  {subject{cn: "other.example.net"}, "boss.example.net", "which is not"},
		"expired":                   {subject{cn: "boss.example.net", bygone: true}, "", "expired"},
		"a node's certificate": {
			subject{cn: "boss.example.net", usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "", "incompatible key usage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cert, _ := ca.issue(t, row.cert)
			mine, _ := ca.issue(t, subject{cn: "pc1"})
			s := start(t, ca, cert, &tmcd{reply: "hello\n"})
			d := New(Config{CA: ca.pool(), Certificate: mine, Lookup: lookup})
			got, err := ask(t, d, s.boss(row.call), "")
			if row.want == "" && (err != nil || got != "hello\n") {
				t.Errorf("Do = %q, %v", got, err)
			}
			if row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("Do = %q, %v; want %q", got, err, row.want)
			}
			if errors.Is(err, client.ErrMaybeSeen) {
				t.Errorf("nobody can have seen the request: %v", err)
			}
		})
	}
}

func TestForeignAuthority(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, _ := theirs.issue(t, subject{cn: "boss.example.net", ips: []string{"127.0.0.1"}})
	mine, _ := ours.issue(t, subject{cn: "pc1"})
	s := start(t, ours, cert, &tmcd{reply: "hello\n"})
	_, err := ask(t, New(Config{CA: ours.pool(), Certificate: mine}), s.boss(""), "")
	if unknown := new(x509.UnknownAuthorityError); !errors.As(err, unknown) {
		t.Errorf("Do: %v", err)
	}
}

// A server that refuses our certificate says so; what it says reaches the user.
func TestClientCertificateRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert, _ := ca.issue(t, subject{ips: []string{"127.0.0.1"}})
	mine, _ := other.issue(t, subject{cn: "pc1"})
	s := start(t, ca, cert, &tmcd{reply: "hello\n"})
	got, err := ask(t, New(Config{CA: ca.pool(), Certificate: mine}), s.boss(""), "")
	if got != "" || err == nil || !strings.Contains(err.Error(), "tls: ") {
		t.Errorf("Do = %q, %v", got, err)
	}
}

// The largest request leaves in one record: a server that reads once has it.
func TestOneRecord(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.issue(t, subject{ips: []string{"127.0.0.1"}})
	mine, _ := ca.issue(t, subject{cn: "pc1"})
	d := New(Config{CA: ca.pool(), Certificate: mine})
	for _, max := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := start(t, ca, cert, &tmcd{max: max, reply: "hello\n"})
		args := strings.Repeat("x", protocol.MaxRequestTLS-len("accounts "))
		if got, err := ask(t, d, s.boss(""), args); err != nil || got != "hello\n" {
			t.Errorf("%s: Do = %q, %v", tls.VersionName(max), got, err)
		}
		s.stop()
		if len(s.heard) != 1 || !bytes.Equal(s.heard[0], []byte("accounts "+args)) {
			t.Errorf("%s: one read gave %d bytes", tls.VersionName(max), len(s.heard[0]))
		}
	}
}

// Sessions are resumed, and a resumed one is held against the same rules.
func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.issue(t, subject{cn: "boss.example.net"})
	mine, _ := ca.issue(t, subject{cn: "pc1"})
	s := start(t, ca, cert, &tmcd{reply: "hello\n"})
	moved := false
	d := New(Config{CA: ca.pool(), Certificate: mine, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		if moved {
			name = "other.example.net"
		}
		return lookup(ctx, name)
	}})
	for range 2 {
		if _, err := ask(t, d, s.boss(""), ""); err != nil {
			t.Fatal(err)
		}
	}
	moved = true
	if _, err := ask(t, d, s.boss(""), ""); err == nil || !strings.Contains(err.Error(), "which is not") {
		t.Errorf("after the name moved away: %v", err)
	}
	s.stop()
	if len(s.again) != 2 || s.again[0] || !s.again[1] {
		t.Errorf("resumed: %v, want first not, then yes", s.again)
	}
}

// A server that just closes is believed after a whole line only.
func TestCloseWithoutNotice(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.issue(t, subject{ips: []string{"127.0.0.1"}})
	mine, _ := ca.issue(t, subject{cn: "pc1"})
	d := New(Config{CA: ca.pool(), Certificate: mine})
	for name, row := range map[string]struct {
		reply string
		whole bool
	}{
		"a whole line": {"hello\n", true},
		"half a line":  {"hello\nhel", false},
		"nothing":      {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, ca, cert, &tmcd{reply: row.reply, rude: true})
			got, err := ask(t, d, s.boss(""), "")
			if got != row.reply || (err == nil) != row.whole {
				t.Errorf("Do = %q, %v", got, err)
			}
			if !row.whole && !(errors.Is(err, client.ErrCut) && errors.Is(err, client.ErrMaybeSeen)) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// A server that takes the tag for a request resets; one that never shakes hands
// costs no more than the dial time-out.
func TestNoHandshake(t *testing.T) {
	ca := newAuthority(t)
	mine, _ := ca.issue(t, subject{cn: "pc1"})
	d := New(Config{CA: ca.pool(), Certificate: mine})
	for name, row := range map[string]struct {
		handle func(net.Conn)
		limit  time.Duration
		want   error
	}{
		"reset":  {func(c net.Conn) { c.Read(make([]byte, 17)); c.(*net.TCPConn).SetLinger(0) }, 0, syscall.ECONNRESET},
		"silent": {func(c net.Conn) { io.Copy(io.Discard, c) }, 200 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				if c, err := ln.Accept(); err == nil {
					row.handle(c)
					c.Close()
				}
			}()
			c, err := client.New(client.Options{
				Network: client.TLS, Servers: []client.Server{(&tmcd{ln: ln}).boss("")},
				Handshake: d.Handshake, DialTimeout: row.limit, RefusedWait: time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Ask(t.Context(), "status")
			if !errors.Is(err, row.want) || errors.Is(err, client.ErrMaybeSeen) {
				t.Errorf("Ask: %v, want %v", err, row.want)
			}
		})
	}
}
