package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
	"emujail/tmcc/client/tlsdial"
)

// A pki is a testbed's: CA, a server's and a host's certificate.
type pki struct {
	ca               *x509.CertPool
	caPEM, clientPEM string
	server, client   tls.Certificate
}

func makePKI(t testing.TB) pki {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caCert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testbed"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, caCert, caCert, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	p := pki{ca: x509.NewCertPool(), caPEM: pemOf(der)}
	p.ca.AppendCertsFromPEM([]byte(p.caPEM))
	issue := func(serial int64, name string, usage x509.ExtKeyUsage) tls.Certificate {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage},
		}, caCert, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	p.server = issue(2, "boss.example", x509.ExtKeyUsageServerAuth)
	p.client = issue(3, "pc1", x509.ExtKeyUsageClientAuth)
	p.clientPEM = pemOf(p.client.Certificate[0])
	return p
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A tlsTmcd wants the tag and a certificate, and reads one record.
type tlsTmcd struct {
	*fakeTmcd
	mu      sync.Mutex
	resumed int
}

func startTLSTmcd(t testing.TB, p pki) *tlsTmcd {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &tlsTmcd{fakeTmcd: &fakeTmcd{addr: netip.MustParseAddrPort(ln.Addr().String())}}
	cfg := &tls.Config{Certificates: []tls.Certificate{p.server}, ClientCAs: p.ca, ClientAuth: tls.RequireAndVerifyClientCert}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.oneTLS(conn, cfg) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return f
}

func (f *tlsTmcd) oneTLS(raw net.Conn, cfg *tls.Config) {
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	tag := make([]byte, len(protocol.TLSTag))
	if _, err := io.ReadFull(raw, tag); err != nil || !bytes.Equal(tag, []byte(protocol.TLSTag)) {
		return
	}
	conn := tls.Server(raw, cfg)
	record := make([]byte, protocol.MaxRequestTLS)
	n, err := conn.Read(record)
	if err != nil {
		return
	}
	f.mu.Lock()
	if conn.ConnectionState().DidResume {
		f.resumed++
	}
	f.mu.Unlock()
	r, err := protocol.ParseRequest(record[:n])
	if err != nil {
		return
	}
	conn.Write(understood(r))
	conn.Close()
}

func (f *tlsTmcd) message(t control.TLS) control.Message {
	b := f.server()
	return control.Message{
		Op: control.OpTmcd, TLS: &t,
		Servers: []control.Server{{Name: b.Name, Addrs: b.Addrs, Ports: b.Ports}},
	}
}

func TestTLSIsResumedAndOneRecord(t *testing.T) {
	p := makePKI(t)
	tmcd := startTLSTmcd(t, p)
	path := serveAlone(t, Options{Tmcd: Tmcd{
		Servers:   servers(tmcd.fakeTmcd),
		Handshake: tlsdial.New(tlsdial.Config{CA: p.ca, Certificate: p.client}).Handshake,
	}})
	body := strings.Repeat("b", protocol.MaxRequestTLS-len("PROXYFOR=pcvm1-1 bootlog "))
	for range 3 {
		if reply, err := ask(t, path, "bootlog "+body); err != nil || !strings.HasSuffix(reply, body+`"`) {
			t.Fatalf("%d bytes, %v", len(reply), err)
		}
	}
	if reply, err := ask(t, path, "bootlog "+body+"b"); !isReset(err) {
		t.Errorf("a byte too much for one record: %d bytes, %v", len(reply), err)
	}
	tmcd.mu.Lock()
	defer tmcd.mu.Unlock()
	if tmcd.resumed != 2 {
		t.Errorf("%d sessions of 3 were resumed, want 2", tmcd.resumed)
	}
}
