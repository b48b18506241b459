package tlsdial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of the files that a node has of its testbed.
const (
	ClientFile = "client.pem" // the node's certificate and private key
	CAFile     = "emulab.pem" // the testbed's CA
)

// LoadFiles reads client.pem and emulab.pem, each from the first of dirs that
// has it. An error for which errors.Is(err, fs.ErrNotExist) holds means that
// one of them is nowhere.
func LoadFiles(dirs ...string) (Config, error) {
	pem, path, err := readFirst(dirs, CAFile)
	if err != nil {
		return Config{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return Config{}, fmt.Errorf("read %s: no certificate in it", path)
	}
	pem, path, err = readFirst(dirs, ClientFile)
	if err != nil {
		return Config{}, err
	}
	cert, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return Config{CA: pool, Certificate: cert}, nil
}

// readFirst reads the file of that name in the first directory that has it.
func readFirst(dirs []string, name string) (data []byte, path string, err error) {
	for _, dir := range dirs {
		path = filepath.Join(dir, name)
		data, err = os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return data, path, err
	}
	return nil, "", fmt.Errorf("no %s in %s: %w", name, strings.Join(dirs, " "), fs.ErrNotExist)
}
