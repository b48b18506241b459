package proxy

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"emujail/protocol"
	"emujail/proxy/control"
	"emujail/tmcc/client"
	"emujail/tmcc/client/tlsdial"
)

// Tmcd is whom to ask, and how.
type Tmcd struct {
	Servers   []client.Server // tried in order, those that failed lately last
	Redirects []client.Server // what a redirect may name besides Servers

	// Handshake makes TLS connections; tlsdial.Dialer has one. Nil: plain TCP.
	Handshake func(ctx context.Context, raw net.Conn, to client.Server, addr netip.Addr) (net.Conn, error)

	// PrivKey is a wide-area host's key, sent with each request.
	PrivKey string

	// ProxyHeader has the names of the servers that want a PROXY v2 header.
	ProxyHeader map[string]bool
}

// A server that failed is tried last for retryMin, doubled with each failure up
// to retryMax.
const (
	retryMin = time.Second
	retryMax = time.Minute
)

// tmcds are the servers with a memory of their health.
type tmcds struct {
	Tmcd
	all []*health
	now func() time.Time
}

type health struct {
	server client.Server
	tcp    *client.Client // TLS, if there is a handshake
	udp    *client.Client

	mu    sync.Mutex
	fails int
	until time.Time // tried last before
}

// newTmcds makes clients for t. A handshake, connect or answer takes as long as d
// says.
func newTmcds(t Tmcd, d Deadlines, redirected func(), spin func() time.Duration) (*tmcds, error) {
	s := &tmcds{Tmcd: t, now: time.Now}
	network := client.TCP
	if t.Handshake != nil {
		network = client.TLS
	}
	follow := func(_ context.Context, host string) (client.Server, error) {
		redirected()
		return s.redirect(host)
	}
	for _, server := range t.Servers {
		o := client.Options{
			Network: network, Servers: []client.Server{server}, Handshake: t.Handshake,
			Redirect: follow, Timeout: d.Progress, DialTimeout: d.Dial, RefusedWait: -1, Spin: spin,
		}
		if t.ProxyHeader[server.Name] {
			o.Preface = preface
		}
		h := &health{server: server}
		var err, udpErr error
		h.tcp, err = client.New(o)
		o.Network, o.Timeout, o.Preface = client.UDP, d.Datagram, nil
		h.udp, udpErr = client.New(o)
		if err := errors.Join(err, udpErr); err != nil {
			return nil, fmt.Errorf("tmcd %q: %w", server.Name, err)
		}
		s.all = append(s.all, h)
	}
	return s, nil
}

// inOrder lists the servers: those that failed lately last.
func (s *tmcds) inOrder(now time.Time) []*health {
	var good, bad []*health
	for _, h := range s.all {
		if h.well(now) {
			good = append(good, h)
		} else {
			bad = append(bad, h)
		}
	}
	return append(good, bad...)
}

func (h *health) well(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !now.Before(h.until)
}

func (h *health) good() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fails, h.until = 0, time.Time{}
}

func (h *health) bad(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.until) {
		return // many requests met the same failure
	}
	h.until = now.Add(min(retryMin<<min(h.fails, 6), retryMax))
	h.fails++
}

// redirect finds a host that a tmcd sends us to among those that the operator
// listed, by name or by address. Another one is never connected to.
func (s *tmcds) redirect(host string) (client.Server, error) {
	addr, _ := netip.ParseAddr(host)
	for _, list := range [][]client.Server{s.Servers, s.Redirects} {
		for _, server := range list {
			if strings.EqualFold(strings.TrimSuffix(server.Name, "."), strings.TrimSuffix(host, ".")) {
				return server, nil
			}
			for _, a := range server.Addrs {
				if a == addr {
					return client.Server{Name: server.Name, Addrs: []netip.Addr{a}, Ports: server.Ports}, nil
				}
			}
		}
	}
	return client.Server{}, errors.New("not a host that the operator listed")
}

// preface is a PROXY v2 header: this host's own address, and for logs only the
// jail's name as unique id (docs/design.md §3, decision 6).
func preface(raw net.Conn, req protocol.Request) ([]byte, error) {
	h := proxyproto.HeaderProxyFromAddrs(2, raw.LocalAddr(), raw.RemoteAddr())
	err := h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_UNIQUE_ID, Value: []byte(req.ProxyFor)}})
	if err != nil {
		return nil, err
	}
	return h.Format()
}

// bossinfo answers the pseudo-command: name and address of the first server.
func (s *tmcds) bossinfo() []byte {
	first := s.Servers[0]
	return fmt.Appendf(nil, "%s %s\n", first.Name, first.Addrs[0])
}

// tmcdFrom reads what the supervisor hands over. Without a key in it, signer
// makes one for the certificate's public half.
func tmcdFrom(m control.Message, signer func(crypto.PublicKey) crypto.Signer) (Tmcd, error) {
	t := Tmcd{PrivKey: m.PrivKey, ProxyHeader: make(map[string]bool)}
	t.Servers, t.Redirects = clientServers(m.Servers), clientServers(m.Redirects)
	if len(t.Servers) == 0 {
		return Tmcd{}, errors.New("no server")
	}
	for _, s := range m.Servers {
		t.ProxyHeader[s.Name] = s.ProxyHeader
	}
	if m.TLS == nil {
		return t, nil
	}
	cfg, err := tlsConfig(*m.TLS, signer)
	if err != nil {
		return Tmcd{}, err
	}
	t.Handshake = tlsdial.New(cfg).Handshake
	return t, nil
}

func clientServers(list []control.Server) []client.Server {
	var out []client.Server
	for _, s := range list {
		out = append(out, client.Server{Name: s.Name, Addrs: s.Addrs, Ports: s.Ports})
	}
	return out
}

func tlsConfig(t control.TLS, signer func(crypto.PublicKey) crypto.Signer) (tlsdial.Config, error) {
	cfg := tlsdial.Config{CA: x509.NewCertPool()}
	if !cfg.CA.AppendCertsFromPEM([]byte(t.CA)) {
		return cfg, errors.New("no certificate in the CA's PEM")
	}
	if t.Key != "" {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
		cfg.Certificate = pair
		return cfg, err
	}
	for rest := []byte(t.Cert); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			cfg.Certificate.Certificate = append(cfg.Certificate.Certificate, block.Bytes)
		}
	}
	if len(cfg.Certificate.Certificate) == 0 {
		return cfg, errors.New("no certificate in the client's PEM")
	}
	leaf, err := x509.ParseCertificate(cfg.Certificate.Certificate[0])
	if err != nil {
		return cfg, err
	}
	cfg.Certificate.Leaf = leaf
	cfg.Certificate.PrivateKey = signer(leaf.PublicKey)
	return cfg, nil
}
