package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloudflare/cfssl/crl"
)

// crlValidity is how long a list of revocations counts as fresh.
const crlValidity = 10 * 365 * 24 * time.Hour

// Revoke puts a certificate on the list of revocations and writes crl.pem anew. what is a file
// that holds the certificate, a serial number (decimal, or hexadecimal as openssl prints it), or
// a common name, which revokes every certificate issued to it. It returns the serial numbers.
func (ca *CA) Revoke(what string, now time.Time) ([]string, error) {
	match, err := ca.matcher(what)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(ca.dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer unlock()
	rows, err := ca.list()
	if err != nil {
		return nil, err
	}
	var serials []string
	for i := range rows {
		if !match(rows[i]) {
			continue
		}
		if rows[i].Revoked == nil {
			rows[i].Revoked = &now
		}
		serials = append(serials, rows[i].Serial)
	}
	if len(serials) == 0 {
		return nil, fmt.Errorf("revoke %s: this CA has issued no such certificate; `tmcd-mock pki show %s` lists them", what, ca.dir)
	}
	if err := ca.writeList(rows); err != nil {
		return nil, err
	}
	return serials, ca.writeCRL()
}

// matcher says which rows of the list `what` means.
func (ca *CA) matcher(what string) (func(issued) bool, error) {
	for _, path := range []string{what, filepath.Join(ca.dir, what)} {
		data, err := readFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		blocks := pemBlocks(data, "CERTIFICATE")
		if len(blocks) == 0 {
			return nil, fmt.Errorf("revoke %s: no certificate in it", path)
		}
		cert, err := x509.ParseCertificate(blocks[0])
		if err != nil {
			return nil, fmt.Errorf("revoke %s: %w", path, err)
		}
		serial := cert.SerialNumber.String()
		return func(row issued) bool { return row.Serial == serial }, nil
	}
	hex, isHex := new(big.Int).SetString(strings.ReplaceAll(what, ":", ""), 16)
	return func(row issued) bool {
		return row.Name == what || row.Serial == what || isHex && row.Serial == hex.String()
	}, nil
}

// writeCRL writes crl.pem from the list.
func (ca *CA) writeCRL() error {
	rows, err := ca.list()
	if err != nil {
		return err
	}
	revoked := []pkix.RevokedCertificate{}
	for _, row := range rows {
		if row.Revoked == nil {
			continue
		}
		serial, ok := new(big.Int).SetString(row.Serial, 10)
		if !ok {
			return fmt.Errorf("%s: serial %q is no number", filepath.Join(ca.dir, issuedFile), row.Serial)
		}
		revoked = append(revoked, pkix.RevokedCertificate{SerialNumber: serial, RevocationTime: row.Revoked.UTC()})
	}
	der, err := crl.CreateGenericCRL(revoked, ca.key, ca.cert, time.Now().Add(crlValidity))
	if err != nil {
		return fmt.Errorf("make %s: %w", CRLFile, err)
	}
	return writeFile(ca.dir, CRLFile, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}
