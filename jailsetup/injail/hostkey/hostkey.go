// Package hostkey makes the ssh host keys of a jail, in the process that needs
// them: an ed25519 and a P-256 key cost well under a millisecond here and a
// dozen with ssh-keygen (spec/linux.md §6). Each jail makes its own inside, on
// its first boot; the host never sees them and no template holds one.
//
//	made, err := hostkey.Ensure("/etc/ssh", "pcvm1-1")
//
// The files are what OpenSSH writes: ssh_host_<type>_key in its own private
// key format, mode 0600, and ssh_host_<type>_key.pub, mode 0644. RSA is left
// out on purpose: a key takes 0.2 to 1.6 s, and a client that needs it is
// older than 2014; who wants one runs ssh-keygen.
package hostkey

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"emujail/jailsetup/wholefile"
)

// Ensure makes the keys that dir doesn't have and returns the paths of the
// private files made. A key file that is there is left alone, unless it is
// empty, as after a power cut.
func Ensure(dir, host string) (made []string, err error) {
	for _, kind := range []struct {
		name string
		make func() (Key, error)
	}{{"ed25519", ed25519Key}, {"ecdsa", ecdsaKey}} {
		path := filepath.Join(dir, "ssh_host_"+kind.name+"_key")
		if st, err := os.Lstat(path); err == nil && (!st.Mode().IsRegular() || st.Size() > 0) {
			continue
		}
		k, err := kind.make()
		if err != nil {
			return made, fmt.Errorf("make %s host key: %w", kind.name, err)
		}
		if err := k.write(path, "root@"+host); err != nil {
			return made, err
		}
		made = append(made, path)
	}
	return made, nil
}

// Key is a key pair as the two strings of the ssh wire format that hold it.
type Key struct {
	kind    string
	public  []byte // as in authorized_keys, before base64
	private []byte // kind and the numbers, without comment
}

func ed25519Key() (Key, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	const kind = "ssh-ed25519"
	return Key{
		kind:    kind,
		public:  appendStrings(nil, []byte(kind), pub),
		private: appendStrings(nil, []byte(kind), pub, priv),
	}, nil
}

func ecdsaKey() (Key, error) {
	priv, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	const kind, curve = "ecdsa-sha2-nistp256", "nistp256"
	head := appendStrings(nil, []byte(kind), []byte(curve), priv.PublicKey().Bytes())
	return Key{kind: kind, public: head, private: appendStrings(head, mpint(priv.Bytes()))}, nil
}

// AuthorizedLine is the public half as one line, without newline.
func (k Key) AuthorizedLine(comment string) string {
	return k.kind + " " + base64.StdEncoding.EncodeToString(k.public) + " " + comment
}

// PEM is the private half in OpenSSH's format, without pass phrase.
func (k Key) PEM(comment string) ([]byte, error) {
	var check [4]byte
	if _, err := rand.Read(check[:]); err != nil {
		return nil, err
	}
	secret := append(append([]byte{}, check[:]...), check[:]...)
	secret = append(secret, k.private...)
	secret = appendStrings(secret, []byte(comment))
	for pad := byte(1); len(secret)%8 != 0; pad++ {
		secret = append(secret, pad)
	}
	b := []byte("openssh-key-v1\x00")
	b = appendStrings(b, []byte("none"), []byte("none"), nil) // cipher, kdf, its options
	b = binary.BigEndian.AppendUint32(b, 1)                   // keys
	b = appendStrings(b, k.public, secret)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: b}), nil
}

// write puts both files in place, the private one last and whole. It doesn't
// sync, which costs milliseconds of a boot: after a power cut a file is there,
// missing or empty, and Ensure makes up for the latter two.
func (k Key) write(path, comment string) error {
	secret, err := k.PEM(comment)
	if err != nil {
		return err
	}
	if err := wholefile.Write(path+".pub", []byte(k.AuthorizedLine(comment)+"\n"), 0o644); err != nil {
		return err
	}
	return wholefile.Write(path, secret, 0o600)
}

// appendStrings appends each as a length of four bytes and its bytes.
func appendStrings(b []byte, ss ...[]byte) []byte {
	for _, s := range ss {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return b
}

// mpint is a positive number as ssh writes it: no leading zeros but one where
// the first bit is set.
func mpint(b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}
