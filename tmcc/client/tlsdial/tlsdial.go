// Package tlsdial gives package client its TLS: it authenticates a tmcd to us
// and us to it, as Emulab's deployed servers expect.
//
//	cfg, err := tlsdial.LoadFiles(client.ConfigDirs()...)
//	c, err := client.New(client.Options{
//		Network: client.TLS, Servers: servers, Handshake: tlsdial.New(cfg).Handshake,
//	})
//
// The server's certificate must chain to the testbed's CA, may be used by a
// server, and must belong to the address that was dialled: an IP SAN equal to
// it, or a DNS SAN or common name that resolves to it. The client's own
// certificate is always shown. TLS 1.2 and 1.3; sessions are resumed, and a
// resumed one is held against the same rules.
//
// A tmcd reads one TLS record and no more, so a request must leave in one:
// dynamic record sizing is off, and package client refuses what doesn't fit.
// The write side is never closed: a tmcd that finds a close_notify unread when
// it closes resets the connection, and with it the reply.
//
// It is a package of its own so that programs that never leave their jail don't
// link crypto/tls. The private key may be any crypto.Signer: the proxy's lies
// with its supervisor. See docs/spec/protocol.md §0 (TLS) and §1.
package tlsdial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"emujail/tmcc/client"
)

// sessions is the number of TLS sessions that a Dialer remembers: one for each
// address and port of a few bosses.
const sessions = 32

// A Config says who is trusted and who we are.
type Config struct {
	CA          *x509.CertPool  // issuers of servers' certificates
	Certificate tls.Certificate // ours; PrivateKey may be any crypto.Signer

	// Lookup resolves the names of a server's certificate. A name that is the
	// dialled Server's own is taken to have the addresses listed there, and
	// isn't looked up. Nil: nothing is looked up.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}

// A Dialer makes handshakes and remembers sessions. It may be used by many
// goroutines at once.
type Dialer struct {
	cfg      Config
	sessions tls.ClientSessionCache
}

// New returns a Dialer for cfg.
func New(cfg Config) *Dialer {
	return &Dialer{cfg: cfg, sessions: tls.NewLRUClientSessionCache(sessions)}
}

// Handshake authenticates raw, a connection to addr that sends the tag before the
// first bytes or has sent it; it has the form of client.Options.Handshake.
func (d *Dialer) Handshake(ctx context.Context, raw net.Conn, to client.Server, addr netip.Addr) (net.Conn, error) {
	below := &watched{Conn: raw}
	above := tls.Client(below, d.config(ctx, to, addr))
	if err := above.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return &conn{above, below}, nil
}

// config is for one connection: what the certificate is held against differs.
func (d *Dialer) config(ctx context.Context, to client.Server, addr netip.Addr) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Elliptic curves only: the library's default adds a post-quantum key
		// to every handshake, which no tmcd answers and which costs a resumed
		// session half of its time.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		// The library knows names only as the dialled ones; ours come from the
		// certificate. VerifyConnection does all of the verification, and
		// unlike VerifyPeerCertificate it also runs on a resumed session.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			return d.verify(ctx, s.PeerCertificates, to, addr)
		},
		// Shown whatever CAs the server names: its refusal says more than our
		// showing nothing.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &d.cfg.Certificate, nil
		},
		ClientSessionCache:          d.sessions,
		DynamicRecordSizingDisabled: true,
	}
}

// verify holds a server's certificates against the CA, the clock and addr.
func (d *Dialer) verify(ctx context.Context, chain []*x509.Certificate, to client.Server, addr netip.Addr) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	leaf, others := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: d.cfg.CA, Intermediates: others,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	return d.verifyAddress(ctx, leaf, to, addr)
}
