package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudflare/cfssl/config"
	"github.com/cloudflare/cfssl/csr"
	"github.com/cloudflare/cfssl/helpers"
	"github.com/cloudflare/cfssl/initca"
	"github.com/cloudflare/cfssl/log"
	"github.com/cloudflare/cfssl/signer"
	"github.com/cloudflare/cfssl/signer/local"
)

// A CA issues, renews and revokes certificates in one directory. It is not safe for use by
// several goroutines; two processes on one directory exclude each other by a lock.
type CA struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// backdate lets certificates be valid on hosts whose clock is a little late.
const backdate = time.Hour

// role is what a certificate may be used for.
type role string

const (
	roleServer role = "server"
	roleClient role = "client"
)

// issued is a row of ca/issued.json: what the CA has given out.
type issued struct {
	Serial  string        `json:"serial"` // decimal
	File    string        `json:"file"`   // below the directory
	Role    role          `json:"role"`
	Name    string        `json:"name"`
	Hosts   []string      `json:"hosts,omitempty"`
	Key     string        `json:"key"`
	Valid   time.Duration `json:"valid_ns"`
	Revoked *time.Time    `json:"revoked,omitempty"`
}

// create makes the CA and its first two certificates.
func create(dir string, o Options) (*CA, error) {
	silence()
	req := &csr.CertificateRequest{
		CN:         "tmcd-mock CA",
		Names:      []csr.Name{{O: "Emulab testbed", OU: Mark}},
		KeyRequest: keyRequest(o.Algorithm),
		CA:         &csr.CAConfig{Expiry: (10 * o.Validity).String(), Backdate: backdate.String(), PathLenZero: true},
	}
	cert, _, key, err := initca.New(req)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	// The key first: a certificate without its key would make every later run fail.
	if err := writeFile(dir, caKeyFile, key); err != nil {
		return nil, err
	}
	if err := writeFile(dir, CAFile, cert); err != nil {
		return nil, err
	}
	ca, err := Open(dir)
	if err != nil {
		return nil, err
	}
	hosts := append([]string(nil), o.ServerNames...)
	for _, ip := range o.ServerIPs {
		hosts = append(hosts, ip.String())
	}
	server := issued{File: ServerFile, Role: roleServer, Name: o.ServerNames[0], Hosts: hosts, Key: o.Algorithm, Valid: o.Validity}
	client := issued{File: ClientFile, Role: roleClient, Name: o.ClientName, Hosts: []string{o.ClientName}, Key: o.Algorithm, Valid: o.Validity}
	if err := errors.Join(ca.issue(server), ca.issue(client)); err != nil {
		return nil, err
	}
	return ca, ca.writeCRL()
}

// silence keeps cfssl's own log, which goes to stderr whoever calls, down to errors.
func silence() { log.Level = log.LevelError }

func keyRequest(algorithm string) *csr.KeyRequest {
	if algorithm == RSA {
		return &csr.KeyRequest{A: "rsa", S: 2048}
	}
	return &csr.KeyRequest{A: "ecdsa", S: 256}
}

// Open opens the CA in dir. Only a directory made by Create has its key.
func Open(dir string) (*CA, error) {
	silence()
	certPEM, err := readFile(filepath.Join(dir, CAFile))
	if err != nil {
		return nil, fmt.Errorf("open the CA in %s: %w", dir, err)
	}
	cert, err := helpers.ParseCertificatePEM(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, CAFile), err)
	}
	keyPEM, err := readFile(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, fmt.Errorf("open the CA in %s (its key is only where `tmcd-mock pki` made it): %w", dir, err)
	}
	key, err := helpers.ParsePrivateKeyPEM(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, caKeyFile), err)
	}
	return &CA{dir: dir, cert: cert, key: key}, nil
}

// Issue makes clients/NAME.pem, certificate and key of a further host, and returns its path.
// addrs may be empty.
func (ca *CA) Issue(name string, addrs []netip.Addr, o Options) (string, error) {
	o.ClientName = name
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	file := filepath.Join(ClientsDir, name+".pem")
	path := filepath.Join(ca.dir, file)
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is there already; `tmcd-mock pki renew` makes a new one", path)
	}
	row := issued{File: file, Role: roleClient, Name: name, Hosts: []string{name}, Key: o.Algorithm, Valid: o.Validity}
	for _, a := range addrs {
		row.Hosts = append(row.Hosts, a.String())
	}
	return path, ca.issue(row)
}

// issue makes the certificate and key that row asks for, writes its file and takes it into the list.
func (ca *CA) issue(row issued) error {
	certPEM, keyPEM, err := ca.sign(row)
	if err != nil {
		return fmt.Errorf("make %s: %w", row.File, err)
	}
	cert, err := helpers.ParseCertificatePEM(certPEM)
	if err != nil {
		return fmt.Errorf("make %s: %w", row.File, err)
	}
	row.Serial = cert.SerialNumber.String()
	unlock, err := lock(filepath.Join(ca.dir, lockFile))
	if err != nil {
		return err
	}
	defer unlock()
	rows, err := ca.list()
	if err != nil {
		return err
	}
	// The list first: a certificate that the list lacks couldn't be revoked.
	if err := ca.writeList(append(rows, row)); err != nil {
		return err
	}
	return writeFile(ca.dir, row.File, append(certPEM, keyPEM...))
}

func (ca *CA) sign(row issued) (certPEM, keyPEM []byte, err error) {
	usage := "client auth"
	if row.Role == roleServer {
		usage = "server auth"
	}
	req := &csr.CertificateRequest{
		CN:         row.Name,
		Names:      []csr.Name{{O: "Emulab testbed", OU: Mark}},
		Hosts:      row.Hosts,
		KeyRequest: keyRequest(row.Key),
	}
	request, keyPEM, err := csr.ParseRequest(req)
	if err != nil {
		return nil, nil, err
	}
	policy := &config.Signing{Default: &config.SigningProfile{
		Usage:        []string{"signing", "key encipherment", usage},
		Expiry:       row.Valid,
		ExpiryString: row.Valid.String(),
		Backdate:     backdate,
	}}
	s, err := local.NewSigner(ca.key, ca.cert, signer.DefaultSigAlgo(ca.key), policy)
	if err != nil {
		return nil, nil, err
	}
	// NotAfter by hand: cfssl counts the validity from the backdated beginning.
	certPEM, err = s.Sign(signer.SignRequest{Request: string(request), NotAfter: time.Now().Add(row.Valid)})
	return certPEM, keyPEM, err
}

func (ca *CA) list() ([]issued, error) {
	data, err := readFile(filepath.Join(ca.dir, issuedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rows []issued
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(ca.dir, issuedFile), err)
	}
	return rows, nil
}

func (ca *CA) writeList(rows []issued) error {
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(ca.dir, issuedFile, append(data, '\n'))
}

// Renew makes new certificates and keys, with names as before, for the named files (server.pem,
// client.pem, clients/NAME.pem); without names for all. The old ones stay valid until they
// expire or are revoked.
func (ca *CA) Renew(files ...string) ([]string, error) {
	rows, err := ca.list()
	if err != nil {
		return nil, err
	}
	latest := map[string]issued{}
	var order []string
	for _, row := range rows {
		if _, seen := latest[row.File]; !seen {
			order = append(order, row.File)
		}
		latest[row.File] = row
	}
	if len(files) == 0 {
		files = order
	}
	for _, file := range files {
		row, ok := latest[filepath.Clean(file)]
		if !ok {
			return nil, fmt.Errorf("renew %s: this CA has not issued it", file)
		}
		row.Revoked = nil
		if err := ca.issue(row); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// RenewCA gives the CA a new period of validity; the key stays, so that certificates made
// before go on being valid.
func (ca *CA) RenewCA() error {
	certPEM, err := initca.Update(ca.cert, ca.key)
	if err != nil {
		return fmt.Errorf("renew the CA in %s: %w", ca.dir, err)
	}
	if err := writeFile(ca.dir, CAFile, certPEM); err != nil {
		return err
	}
	ca.cert, err = helpers.ParseCertificatePEM(certPEM)
	return err
}

// readFile reads a regular file of at most 1 MiB.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s: not a file of at most 1 MiB", path)
	}
	return os.ReadFile(path)
}

// pemBlocks returns the blocks of one type, in order.
func pemBlocks(data []byte, kind string) [][]byte {
	var blocks [][]byte
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return blocks
		}
		if b.Type == kind {
			blocks = append(blocks, b.Bytes)
		}
	}
}
