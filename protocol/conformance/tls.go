package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"emujail/protocol"
)

func tlsRows() []Row {
	plain, tl := host(nodeid), host(nodeid).over(overTL)
	return []Row{
		{ID: "1/30", Rule: "after the tag ISPEAKSSL_TMCDV10 comes a TLS handshake, on the same port", check: same(plain, tl)},
		{ID: "1/31", Rule: "TLS 1.2 is spoken", check: tlsVersion(tls.VersionTLS12)},
		{ID: "1/32", Rule: "a client without a certificate gets nothing", check: unwelcome(func(*probe) ([]tls.Certificate, error) { return nil, nil })},
		{ID: "1/33", Rule: "a client with a certificate of another CA gets nothing", check: unwelcome(strangersCertificate)},
		{ID: "1/34", Rule: "the server's certificate is of the testbed's CA, for the address that it is asked at", check: serversName()},
		{ID: "1/35", Rule: "over TLS a request needs no end: the answer comes at once", check: timed(tl, true, 0, soon)},
		{ID: "1/36", Rule: "one TLS record is read: what comes in a second one is dropped",
			check: records(silentPieces, step{"VERSION=40 nodei", segment}, step{"d ", 0})},
		{ID: "1/37", Rule: "a record of 16,384 bytes is read whole",
			check: records(samePieces, step{nodeid + strings.Repeat("x", protocol.MaxRequestTLS-len(nodeid)), 0})},
		{ID: "1/38", Rule: "a handshake without the tag is no request", check: untagged()},
		{ID: "1/39", Rule: "after the tag, what is no handshake gets no answer", check: tagOnly("garbage that is no handshake")},
		{ID: "1/40", Rule: "commands that want the node's TPM are refused to a certificate of the testbed's",
			check: silent(tl, host("VERSION=40 tpmdummy ").over(overTL), host("VERSION=40 imagekey ").over(overTL))},
		{ID: "1/41", Rule: "a vnode is named over TLS as over TCP", check: same(host("VNODEID={vnode} VERSION=40 status "),
			host("VNODEID={vnode} VERSION=40 status ").over(overTL))},
		{ID: "1/42", Rule: "an unknown command over TLS gets silence", check: silent(tl, host("VERSION=40 nosuchcommand ").over(overTL))},
		{ID: "1/43", Rule: "TLS 1.3 is spoken", Strict: true, check: tlsVersion(tls.VersionTLS13)},
	}
}

func tlsVersion(version uint16) check {
	return check{NeedTLS, func(p *probe) error {
		config := p.clientTLS()
		config.MinVersion, config.MaxVersion = version, version
		b, err := p.tlsAsk(config, nodeid)
		if err == nil && b == "" {
			err = errors.New("nodeid: no answer")
		}
		return err
	}}
}

// tlsAsk asks with a configuration of the row's own.
func (p *probe) tlsAsk(config *tls.Config, request string) (string, error) {
	raw, err := p.dial(host(request))
	if err != nil {
		return "", err
	}
	defer raw.Close()
	c, err := p.handshake(raw, config)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	s, err := p.hear(c)
	return s.text, err
}

// unwelcome wants no answer for a client with such certificates, where one with the
// right one is answered. With TLS 1.3 the refusal comes after the handshake.
func unwelcome(own func(*probe) ([]tls.Certificate, error)) check {
	return check{NeedTLS, func(p *probe) error {
		if _, err := p.some(host(nodeid).over(overTL)); err != nil {
			return err
		}
		config := p.clientTLS()
		certificates, err := own(p)
		if err != nil {
			return err
		}
		// The server's list of CAs would keep the wrong certificate back.
		config.Certificates = nil
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certificates) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certificates[0], nil
		}
		b, err := p.tlsAsk(config, nodeid)
		if b != "" {
			return fmt.Errorf("%s, want a refusal", quote(b))
		}
		if errors.Is(err, p.ctx.Err()) && p.ctx.Err() != nil {
			return err
		}
		return nil // whichever way it refused
	}}
}

// strangersCertificate looks like the client's own, signed by itself.
func strangersCertificate(p *probe) ([]tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: "stranger"}
	if own, err := x509.ParseCertificate(p.t.TLS.Certificate.Certificate[0]); err == nil {
		subject = own.Subject
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

// serversName wants the certificate to name the address, or a name that has it.
func serversName() check {
	return check{NeedTLS, func(p *probe) error {
		raw, err := p.dial(host(""))
		if err != nil {
			return err
		}
		defer raw.Close()
		c, err := p.handshake(raw, p.clientTLS())
		if err != nil {
			return err
		}
		leaf, addr := c.ConnectionState().PeerCertificates[0], p.t.Addr.Addr()
		if leaf.VerifyHostname(addr.String()) == nil {
			return nil
		}
		names := append(slices.Clone(leaf.DNSNames), leaf.Subject.CommonName)
		for _, name := range names {
			if p.resolves(name, addr) {
				return nil
			}
		}
		return fmt.Errorf("the certificate is for %q, none of which is %v", names, addr)
	}}
}

func (p *probe) resolves(name string, addr netip.Addr) bool {
	found, err := net.DefaultResolver.LookupNetIP(p.ctx, "ip", name)
	return err == nil && slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == addr.Unmap() })
}

// records sends each piece as a record of its own.
func records(judge func(want string, got said) error, steps ...step) check {
	return check{NeedTLS, func(p *probe) error {
		q := host(nodeid).over(overTL)
		want, err := p.some(q)
		if err != nil {
			return err
		}
		s, err := p.converse(q, true, steps...)
		if err != nil {
			return err
		}
		return judge(want, s)
	}}
}

// untagged starts a handshake with the first byte.
func untagged() check {
	return check{NeedTLS, func(p *probe) error {
		if _, err := p.some(host(nodeid).over(overTL)); err != nil {
			return err
		}
		raw, err := p.dial(host(""))
		if err != nil {
			return err
		}
		defer raw.Close()
		if err := tls.Client(raw, p.clientTLS()).HandshakeContext(p.ctx); err == nil {
			return errors.New("the server speaks TLS without the tag")
		}
		return p.ctx.Err()
	}}
}

// tagOnly sends the tag and something that is no handshake. A TLS alert is no
// answer.
func tagOnly(text string) check {
	return check{NeedTLS, func(p *probe) error {
		if _, err := p.some(host(nodeid).over(overTL)); err != nil {
			return err
		}
		s, err := p.converse(host(protocol.TLSTag), false, step{protocol.TLSTag, segment}, step{text, 0})
		if err == nil && s.text != "" && s.text[0] != 0x15 {
			err = fmt.Errorf("%s, want a TLS alert or nothing", quote(s.text))
		}
		return err
	}}
}
