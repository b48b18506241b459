package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Material is what a server needs of a directory of certificates.
type Material struct {
	Certificate tls.Certificate // server.pem
	Authorities *x509.CertPool  // emulab.pem
	revoked     map[string]bool // serial numbers of crl.pem, by issuer
	Warnings    []string        // worth a line in the log: expiry, a list of revocations past its date
}

// soon is when an expiry gets a warning.
const soon = 14 * 24 * time.Hour

// Load reads emulab.pem, server.pem and, if it is there, crl.pem (PEM or DER) from dir. The
// certificates may come from any CA, but see the package comment on real ones. A key that others
// may read is an error.
func Load(dir string, now time.Time) (*Material, error) {
	caPEM, err := readFile(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w (`tmcd-mock pki %s` makes them)", err, dir)
	}
	cas, err := parseCerts(caPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, CAFile), err)
	}
	m := &Material{Authorities: x509.NewCertPool(), revoked: map[string]bool{}}
	for _, c := range cas {
		m.Authorities.AddCert(c)
	}
	path := filepath.Join(dir, ServerFile)
	if err := private(path); err != nil {
		return nil, err
	}
	serverPEM, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	if m.Certificate, err = tls.X509KeyPair(serverPEM, serverPEM); err != nil {
		return nil, fmt.Errorf("%s (certificate and key in one file): %w", path, err)
	}
	leaf := m.Certificate.Leaf
	if err := guard(leaf); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := m.check(path, leaf, now); err != nil {
		return nil, err
	}
	return m, m.loadCRL(filepath.Join(dir, CRLFile), cas, now)
}

// check verifies the server's own certificate: a mistake here would show at the clients only.
func (m *Material) check(path string, leaf *x509.Certificate, now time.Time) error {
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("%s expired on %s: `tmcd-mock pki renew`", path, leaf.NotAfter.Format(time.DateOnly))
	}
	opts := x509.VerifyOptions{Roots: m.Authorities, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := leaf.Verify(opts); err != nil {
		return fmt.Errorf("%s does not verify against %s: %w", path, CAFile, err)
	}
	if left := leaf.NotAfter.Sub(now); left < soon {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%s expires in %s: tmcd-mock pki renew", path, left.Round(time.Minute)))
	}
	return nil
}

func (m *Material) loadCRL(path string, cas []*x509.Certificate, now time.Time) error {
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lists := pemBlocks(data, "X509 CRL")
	if len(lists) == 0 {
		lists = [][]byte{data}
	}
	for _, der := range lists {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		by := slices.IndexFunc(cas, func(ca *x509.Certificate) bool { return list.CheckSignatureFrom(ca) == nil })
		if by < 0 {
			return fmt.Errorf("%s: not signed by the CA of %s", path, CAFile)
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			m.Warnings = append(m.Warnings, fmt.Sprintf("%s should have been replaced on %s", path, list.NextUpdate.Format(time.DateOnly)))
		}
		for _, entry := range list.RevokedCertificateEntries {
			m.revoked[string(list.RawIssuer)+entry.SerialNumber.String()] = true
		}
	}
	return nil
}

// ErrRevoked is what a handshake with a revoked certificate fails with.
var ErrRevoked = errors.New("certificate revoked")

// ServerTLS is the configuration of tmcd's side: TLS 1.2 or 1.3, a client certificate of the CA
// demanded, the list of revocations asked in every handshake, resumed ones included.
func (m *Material) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		Certificates:                []tls.Certificate{m.Certificate},
		ClientAuth:                  tls.RequireAndVerifyClientCert,
		ClientCAs:                   m.Authorities,
		DynamicRecordSizingDisabled: true,
		// VerifyConnection, not VerifyPeerCertificate: the latter is left out when a session resumes.
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range state.PeerCertificates {
				if m.revoked[string(cert.RawIssuer)+cert.SerialNumber.String()] {
					return fmt.Errorf("%w: serial %X of %s", ErrRevoked, cert.SerialNumber, cert.Subject.CommonName)
				}
			}
			return nil
		},
	}
}

func parseCerts(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, der := range pemBlocks(data, "CERTIFICATE") {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// private refuses a file with a key that others may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, a key wants 0600: chmod 600 %s", path, perm, path)
	}
	return nil
}

// guard refuses a certificate that may be a real boss's: not marked, and made out to a name or
// address of the real world.
func guard(leaf *x509.Certificate) error {
	units := append(slices.Clone(leaf.Subject.OrganizationalUnit), leaf.Issuer.OrganizationalUnit...)
	if slices.Contains(units, Mark) {
		return nil
	}
	names := slices.Clone(leaf.DNSNames)
	if leaf.Subject.CommonName != "" {
		names = append(names, leaf.Subject.CommonName)
	}
	for _, name := range names {
		if !testName(name) {
			return fmt.Errorf("made out to %q and not marked as for tests: this may be a real boss's key; "+
				"make one with `tmcd-mock pki DIR`, or issue it with OU=%q in its subject", name, Mark)
		}
	}
	for _, ip := range leaf.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); !ok || !testAddr(a.Unmap()) {
			return fmt.Errorf("made out to %s and not marked as for tests: this may be a real boss's key; "+
				"make one with `tmcd-mock pki DIR`, or issue it with OU=%q in its subject", ip, Mark)
		}
	}
	return nil
}

// testName: no dot, an address for tests, or a domain that RFC 2606 and 6761 keep free.
func testName(name string) bool {
	if ip := net.ParseIP(name); ip != nil {
		a, _ := netip.AddrFromSlice(ip)
		return testAddr(a.Unmap())
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(name, ".") {
		return true
	}
	for _, domain := range []string{"localhost", "test", "example", "invalid", "example.com", "example.net", "example.org", "example.emulab.net"} {
		if strings.HasSuffix("."+name, "."+domain) {
			return true
		}
	}
	return false
}

func testAddr(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }
