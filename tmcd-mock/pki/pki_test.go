package pki

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl runs the openssl command in dir.
func openssl(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func newCA(t testing.TB, o Options) (string, *CA) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	ca, err := Create(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return dir, ca
}

func TestCreateIsWhatOpensslExpects(t *testing.T) {
	for _, algorithm := range []string{ECDSA, RSA} {
		t.Run(algorithm, func(t *testing.T) {
			o := Options{Algorithm: algorithm, ServerNames: []string{"boss.example.com", "tmcd"}, ServerIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
			dir, _ := newCA(t, o)
			openssl(t, dir, "verify", "-x509_strict", "-CAfile", CAFile, "-purpose", "sslserver", ServerFile)
			openssl(t, dir, "verify", "-x509_strict", "-CAfile", CAFile, "-purpose", "sslclient", ClientFile)
			openssl(t, dir, "crl", "-CAfile", CAFile, "-in", CRLFile, "-noout")
			text := openssl(t, dir, "x509", "-in", ServerFile, "-noout", "-subject", "-ext", "subjectAltName")
			for _, want := range []string{"CN = boss.example.com", "OU = for tests only", "DNS:boss.example.com", "DNS:tmcd", "IP Address:192.0.2.1"} {
				if !strings.Contains(text, want) {
					t.Errorf("server.pem lacks %q:\n%s", want, text)
				}
			}
			if bytes.Contains(read(t, dir, CAFile), []byte("PRIVATE KEY")) {
				t.Error("emulab.pem holds a key")
			}
		})
	}
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// T49: 0600 below 0700.
func TestT49Modes(t *testing.T) {
	dir, ca := newCA(t, Options{})
	if _, err := ca.Issue("pc2", nil, Options{}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	full, _ := newCA(t, Options{})
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, dir string
		o         Options
		want      string
	}{
		{"a CA is there", full, Options{}, "a CA is there already"},
		{"others may enter", open, Options{}, "chmod 700"},
		{"a file", file, Options{}, "not a directory"},
		{"no parent", filepath.Join(file, "x"), Options{}, "not a directory"},
		{"bad name", t.TempDir(), Options{ServerNames: []string{"a b"}}, "letters, digits"},
		{"bad client", t.TempDir(), Options{ClientName: "../x"}, "beginning with"},
		{"bad key", t.TempDir(), Options{Algorithm: "dsa"}, "ecdsa or rsa"},
		{"no time", t.TempDir(), Options{Validity: time.Millisecond}, "a second at least"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := Create(row.dir, row.o); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want …%s…", err, row.want)
			}
		})
	}
}

func TestRenewKeepsNamesAndOldCertificates(t *testing.T) {
	dir, ca := newCA(t, Options{ServerNames: []string{"boss.example.com"}})
	old := read(t, dir, ServerFile)
	if _, err := ca.Renew(ServerFile); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old, read(t, dir, ServerFile)) {
		t.Error("server.pem is the old one")
	}
	if err := ca.RenewCA(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.pem"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, dir, "verify", "-CAfile", CAFile, "old.pem", ServerFile, ClientFile)
	if text := openssl(t, dir, "x509", "-in", ServerFile, "-noout", "-subject"); !strings.Contains(text, "boss.example.com") {
		t.Errorf("renewed for %s", text)
	}
	if _, err := ca.Renew("other.pem"); err == nil {
		t.Error("a file that the CA hasn't issued was renewed")
	}
}

func TestRevokeByFileSerialAndName(t *testing.T) {
	for _, by := range []string{"file", "serial", "hex", "name"} {
		t.Run(by, func(t *testing.T) {
			dir, ca := newCA(t, Options{})
			path, err := ca.Issue("pc2", nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			list, err := Show(dir, time.Now())
			if err != nil || len(list) != 4 {
				t.Fatalf("%v, %v", list, err)
			}
			rows, err := ca.list()
			if err != nil {
				t.Fatal(err)
			}
			what := map[string]string{"file": path, "serial": rows[2].Serial, "hex": list[3].Serial, "name": "pc2"}[by]
			if _, err := ca.Revoke(what, time.Now()); err != nil {
				t.Fatal(err)
			}
			if list, err = Show(dir, time.Now()); err != nil || !list[3].Revoked || list[2].Revoked {
				t.Errorf("after revoking pc2: %+v, %v", list, err)
			}
			if text := openssl(t, dir, "crl", "-in", CRLFile, "-noout", "-text"); !strings.Contains(text, "Serial Number: "+list[3].Serial) {
				t.Errorf("openssl doesn't see it:\n%s", text)
			}
		})
	}
	_, ca := newCA(t, Options{})
	if _, err := ca.Revoke("nobody", time.Now()); err == nil {
		t.Error("a certificate that isn't there was revoked")
	}
}

// handshake lets a client with a certificate talk to a server over a socket, and says how it went.
func handshake(server, client *tls.Config) (resumed bool, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false, err
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		_, err = tls.Server(c, server).Write([]byte("hello"))
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 5))
		resumed = c.ConnectionState().DidResume
		c.Close()
	}
	return resumed, errors.Join(err, <-done)
}

func TestRevokedCertificateEndsResumptionToo(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			dir, ca := newCA(t, Options{})
			m, err := Load(dir, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, ClientFile), filepath.Join(dir, ClientFile))
			if err != nil {
				t.Fatal(err)
			}
			client := &tls.Config{RootCAs: m.Authorities, ServerName: "localhost", Certificates: []tls.Certificate{pair},
				ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: version}
			server := m.ServerTLS()
			for i, want := range []bool{false, true} {
				if resumed, err := handshake(server, client); err != nil || resumed != want {
					t.Fatalf("handshake %d: resumed %v, %v", i+1, resumed, err)
				}
			}
			if _, err := ca.Revoke(ClientFile, time.Now()); err != nil {
				t.Fatal(err)
			}
			again, err := Load(dir, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			m.revoked = again.revoked // the same configuration, so that the session could resume
			if _, err := handshake(server, client); !errors.Is(err, ErrRevoked) {
				t.Errorf("with a revoked certificate: %v", err)
			}
		})
	}
}

func TestCertificatesOfAPlainOpensslCA(t *testing.T) {
	for _, kind := range [][]string{{"-newkey", "rsa:2048"}, {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"}} {
		t.Run(kind[1], func(t *testing.T) {
			dir := t.TempDir()
			opensslCA(t, dir, kind, "/CN=localhost")
			m, err := Load(dir, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, ClientFile), filepath.Join(dir, ClientFile))
			if err != nil {
				t.Fatal(err)
			}
			// Without a subject alternative name Go checks no name; tmcc compares the common name itself.
			client := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}
			if _, err := handshake(m.ServerTLS(), client); err != nil {
				t.Error(err)
			}
			if _, err := handshake(m.ServerTLS(), &tls.Config{InsecureSkipVerify: true}); err == nil {
				t.Error("a client without a certificate was let in")
			}
		})
	}
}

// opensslCA makes emulab.pem, server.pem and client.pem as a person with the openssl command would.
func opensslCA(t testing.TB, dir string, key []string, serverSubject string) {
	t.Helper()
	openssl(t, dir, append([]string{"req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=my own CA", "-keyout", "ca.key", "-out", CAFile}, key...)...)
	for name, subject := range map[string]string{"server": serverSubject, "client": "/CN=pc1"} {
		openssl(t, dir, append([]string{"req", "-nodes", "-subj", subject, "-keyout", name + ".key", "-out", name + ".csr"}, key...)...)
		openssl(t, dir, "x509", "-req", "-days", "2", "-in", name+".csr", "-CA", CAFile, "-CAkey", "ca.key", "-CAcreateserial", "-out", name+".crt")
		both := append(read(t, dir, name+".crt"), read(t, dir, name+".key")...)
		if err := os.WriteFile(filepath.Join(dir, name+".pem"), both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// T40: a real boss's key is refused; what says that it is for tests isn't.
func TestT40RealBossIsRefused(t *testing.T) {
	ec := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"}
	for _, row := range []struct {
		subject string
		ok      bool
	}{
		{"/CN=boss.emulab.net", false},
		{"/O=Utah/OU=Testbed/CN=boss.some.where.edu", false},
		{"/CN=155.98.32.70", false},
		{"/OU=for tests only/CN=boss.emulab.net", true},
		{"/CN=boss", true},
		{"/CN=127.0.0.1", true},
		{"/CN=192.168.1.1", true},
		{"/CN=boss.example.org", true},
		{"/CN=boss.example.emulab.net", true},
		{"/CN=tmcd.test", true},
	} {
		dir := t.TempDir()
		opensslCA(t, dir, ec, row.subject)
		_, err := Load(dir, time.Now())
		if row.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "real boss") {
			t.Errorf("%s: %v; want it accepted: %v", row.subject, err, row.ok)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good, _ := newCA(t, Options{})
	other, _ := newCA(t, Options{})
	for _, row := range []struct {
		name   string
		change func(dir string) error
		now    time.Time
		want   string
	}{
		{"no CA", func(d string) error { return os.Remove(filepath.Join(d, CAFile)) }, time.Now(), "tmcd-mock pki"},
		{"no server", func(d string) error { return os.Remove(filepath.Join(d, ServerFile)) }, time.Now(), "server.pem"},
		{"readable key", func(d string) error { return os.Chmod(filepath.Join(d, ServerFile), 0o644) }, time.Now(), "chmod 600"},
		{"no key in it", func(d string) error { return copyFile(good, CAFile, d, ServerFile) }, time.Now(), "certificate and key"},
		{"another CA", func(d string) error { return copyFile(other, ServerFile, d, ServerFile) }, time.Now(), "does not verify"},
		{"another CA's list", func(d string) error { return copyFile(other, CRLFile, d, CRLFile) }, time.Now(), "not signed by the CA"},
		{"rubbish", func(d string) error { return os.WriteFile(filepath.Join(d, CAFile), []byte("x"), 0o600) }, time.Now(), "no certificate"},
		{"expired", func(string) error { return nil }, time.Now().Add(2 * 365 * 24 * time.Hour), "expired"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{CAFile, ServerFile, CRLFile} {
				if err := copyFile(good, name, dir, name); err != nil {
					t.Fatal(err)
				}
			}
			if err := row.change(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(dir, row.now); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want …%s…", err, row.want)
			}
		})
	}
	if m, err := Load(good, time.Now().Add(360*24*time.Hour)); err != nil || len(m.Warnings) != 1 {
		t.Errorf("five days before expiry: %v, warnings %v", err, m)
	}
}

func copyFile(fromDir, from, toDir, to string) error {
	b, err := os.ReadFile(filepath.Join(fromDir, from))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(toDir, to), b, 0o600)
}
