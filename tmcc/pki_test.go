package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// pki NAME: make etc/emulab.pem, etc/client.pem, and server.pem for NAME, as
// the script's own testbed would have them.
func pki(ts *testscript.TestScript, neg bool, args []string) {
	caKey, ca := certificate(ts, "Test CA", nil, nil)
	etc := ts.MkAbs("etc")
	ts.Check(os.MkdirAll(etc, 0o755))
	writePEM(ts, filepath.Join(etc, "emulab.pem"), ca, nil)
	for path, name := range map[string]string{filepath.Join(etc, "client.pem"): "pc1", ts.MkAbs("server.pem"): args[0]} {
		key, cert := certificate(ts, name, ca, caKey)
		writePEM(ts, path, cert, key)
	}
}

// certificate is signed by ca, or is one.
func certificate(ts *testscript.TestScript, cn string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	ts.Check(err)
	cert, err := x509.ParseCertificate(der)
	ts.Check(err)
	return key, cert
}

func writePEM(ts *testscript.TestScript, path string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		ts.Check(err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	ts.Check(os.WriteFile(path, text, 0o600))
}

// tlsConfig is that of a tmcd: it demands a certificate of the same CA.
func tlsConfig(ts *testscript.TestScript, wanted bool) *tls.Config {
	if !wanted {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(ts.MkAbs("server.pem"), ts.MkAbs("server.pem"))
	ts.Check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ts.ReadFile("etc/emulab.pem")))
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}
