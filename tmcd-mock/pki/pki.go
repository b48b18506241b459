// Package pki makes and reads the certificates of a testbed that exists only for tests.
//
// A directory of certificates, as tmcc and tmcd-mock expect it:
//
//	emulab.pem       the CA's certificate: whom both sides trust
//	server.pem       certificate and key of tmcd
//	client.pem       certificate and key of a host
//	crl.pem          what has been revoked; empty at first
//	clients/NAME.pem further hosts
//	ca/              the CA's key and the list of what it issued: stays with the testbed
//
// The directory has mode 0700, every file 0600. Create makes it; Open gives a CA that issues,
// renews and revokes; Load reads what a server needs, from a directory of ours or of a plain
// openssl CA. Certificates are made with cfssl, by this package alone.
//
// Every certificate made here says "for tests only" in its subject (Mark). Load refuses a
// certificate without the mark that is made out to a name of the real world, so that a mock
// never speaks with the key of a real boss.
//
// Specification: protocol.md §0 (files, names) and §1 (who must show what).
package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Mark stands as organizational unit in the subject of every certificate made here.
const Mark = "for tests only"

// File names below a directory of certificates.
const (
	CAFile      = "emulab.pem"
	ServerFile  = "server.pem"
	ClientFile  = "client.pem"
	CRLFile     = "crl.pem"
	ClientsDir  = "clients"
	privateDir  = "ca"
	caKeyFile   = "ca/emulab-key.pem"
	issuedFile  = "ca/issued.json"
	lockFile    = "ca/lock"
	dirMode     = 0o700
	fileMode    = 0o600
	maxFileSize = 1 << 20
)

// Key algorithms that Options.Algorithm may name.
const (
	ECDSA = "ecdsa" // P-256
	RSA   = "rsa"   // 2048 bits
)

// Options says for whom Create makes certificates. The zero value is a testbed on this machine.
type Options struct {
	ServerNames []string      // names of tmcd; the first is its common name. None: the first address, else localhost
	ServerIPs   []netip.Addr  // addresses of tmcd. None: 127.0.0.1 and ::1
	ClientName  string        // common name of client.pem. Empty: "client"
	Algorithm   string        // ECDSA (default) or RSA
	Validity    time.Duration // of server and client certificates. 0: 365 days; the CA's is ten times that
}

const defaultValidity = 365 * 24 * time.Hour

// withDefaults fills in what o leaves open, and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if len(o.ServerNames) == 0 {
		o.ServerNames = []string{"localhost"}
		if len(o.ServerIPs) > 0 {
			o.ServerNames = []string{o.ServerIPs[0].String()}
		}
	}
	if len(o.ServerIPs) == 0 {
		o.ServerIPs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	}
	if o.ClientName == "" {
		o.ClientName = "client"
	}
	if o.Algorithm == "" {
		o.Algorithm = ECDSA
	}
	if o.Validity == 0 {
		o.Validity = defaultValidity
	}
	if o.Algorithm != ECDSA && o.Algorithm != RSA {
		return o, fmt.Errorf("key algorithm %q: want %s or %s", o.Algorithm, ECDSA, RSA)
	}
	if o.Validity < time.Second {
		return o, fmt.Errorf("validity %v: want a second at least", o.Validity)
	}
	for _, name := range append([]string{o.ClientName}, o.ServerNames...) {
		if err := checkName(name); err != nil {
			return o, err
		}
	}
	return o, nil
}

// checkName accepts what can stand in a common name and, for clients, be a file's name.
func checkName(name string) error {
	if name == "" || len(name) > 64 || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		return fmt.Errorf("name %q: want 1 to 64 characters, not beginning with '.' or '-'", name)
	}
	for _, r := range name {
		ok := r == '.' || r == '-' || r == '_' || r == ':' ||
			'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !ok {
			return fmt.Errorf("name %q: want letters, digits and . - _ : only", name)
		}
	}
	return nil
}

// ErrExists is returned by Create for a directory that holds a CA already.
var ErrExists = errors.New("a CA is there already")

// Create makes a CA and the certificates of one server and one client in dir, which it makes
// too (mode 0700). It refuses a directory that holds a CA (ErrExists) or that others may enter,
// and leaves nothing behind when it fails.
func Create(dir string, o Options) (*CA, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, CAFile)); err == nil {
		return nil, fmt.Errorf("make a CA in %s: %w", dir, ErrExists)
	}
	made, err := makePrivate(dir)
	if err != nil {
		return nil, err
	}
	ca, err := create(dir, o)
	if err != nil {
		return nil, errors.Join(err, discard(dir, made))
	}
	return ca, nil
}

// discard takes back a directory that a failed Create has begun to fill.
func discard(dir string, made bool) error {
	if made {
		return os.RemoveAll(dir)
	}
	var errs []error
	for _, name := range []string{CAFile, ServerFile, ClientFile, CRLFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(dir, privateDir)))...)
}

// makePrivate makes dir with mode 0700, or checks that nobody else may enter the one that is there.
func makePrivate(dir string) (made bool, err error) {
	err = os.Mkdir(dir, dirMode)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("make directory %s: %w", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return false, fmt.Errorf("%s: not a directory", dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return false, fmt.Errorf("directory %s has mode %04o, keys want 0700: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return false, nil
}

// writeFile replaces dir/name as a whole: temporary file, fsync, rename. Mode 0600.
func writeFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // CreateTemp's mode is 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
