package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Certificate is what Show tells of one file. It holds nothing secret.
type Certificate struct {
	File     string    `json:"file"`
	Name     string    `json:"name"`            // common name
	Hosts    []string  `json:"hosts,omitempty"` // subject alternative names
	Serial   string    `json:"serial"`          // hexadecimal, as openssl prints it
	NotAfter time.Time `json:"not_after"`
	Expired  bool      `json:"expired"`
	Revoked  bool      `json:"revoked"`
	ForTests bool      `json:"for_tests"` // carries Mark
}

// Show lists the certificates below dir, in the order emulab.pem, server.pem, client.pem, others.
func Show(dir string, now time.Time) ([]Certificate, error) {
	ca, err := readFile(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, err
	}
	cas, err := parseCerts(ca)
	if err != nil {
		return nil, err
	}
	m := &Material{revoked: map[string]bool{}}
	if err := m.loadCRL(filepath.Join(dir, CRLFile), cas, now); err != nil {
		return nil, err
	}
	files := []string{CAFile, ServerFile, ClientFile}
	more, err := os.ReadDir(filepath.Join(dir, ClientsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range more {
		if strings.HasSuffix(e.Name(), ".pem") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(ClientsDir, e.Name()))
		}
	}
	var list []Certificate
	for _, file := range files {
		c, err := m.describe(dir, file, now)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (m *Material) describe(dir, file string, now time.Time) (Certificate, error) {
	data, err := readFile(filepath.Join(dir, file))
	if err != nil {
		return Certificate{}, err
	}
	certs, err := parseCerts(data)
	if err != nil {
		return Certificate{}, err
	}
	cert := certs[0]
	hosts := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return Certificate{
		File: file, Name: cert.Subject.CommonName, Hosts: hosts,
		Serial: fmt.Sprintf("%X", cert.SerialNumber.Bytes()), NotAfter: cert.NotAfter,
		Expired:  now.After(cert.NotAfter),
		Revoked:  m.revoked[string(cert.RawIssuer)+cert.SerialNumber.String()],
		ForTests: slices.Contains(cert.Subject.OrganizationalUnit, Mark),
	}, nil
}
