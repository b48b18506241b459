package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
)

// handshake turns the connection into a TLS one. The tag has been read.
func (x *exchange) handshake(deadline time.Time) error {
	var config *tls.Config
	if x.s.o.TLS != nil {
		config = x.s.o.TLS()
	}
	if config == nil {
		return errors.New("TLS asked for, but the server has no certificates (--pki DIR)")
	}
	if x.has(fault.WrongCert) {
		config = x.s.cert()
	}
	c := tls.Server(x.conn, config)
	ctx, cancel := context.WithDeadline(x.s.ctx, deadline)
	defer cancel()
	if err := x.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := c.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	x.stream, x.transport = c, answer.TLS
	return nil
}

// strangersCertificate is what the fault wrong-cert shows: made on the spot, signed by itself.
func strangersCertificate() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return &tls.Config{} // without a certificate the handshake fails as well
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "stranger", OrganizationalUnit: []string{"for tests only"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"stranger.invalid"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return &tls.Config{}
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
}
