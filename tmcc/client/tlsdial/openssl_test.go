package tlsdial

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// openssl runs the command in dir; the tests need it (Debian: openssl).
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// plainAuthority makes a testbed's files with nothing but openssl: RSA keys,
// names as common names, no extensions but the CA's.
func plainAuthority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	openssl(t, dir, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Testbed/CN=Testbed CA",
		"-days", "2", "-keyout", "ca.key", "-out", CAFile)
	for file, cn := range map[string]string{ClientFile: "pc1", "server.pem": "boss.example.net"} {
		openssl(t, dir, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Testbed/CN="+cn, "-keyout", "key", "-out", "csr")
		openssl(t, dir, "x509", "-req", "-in", "csr", "-CA", CAFile, "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "cert")
		var both []byte
		for _, part := range []string{"cert", "key"} {
			text, err := os.ReadFile(filepath.Join(dir, part))
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, text...)
		}
		if err := os.WriteFile(filepath.Join(dir, file), both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A foreign server, and certificates of a foreign CA, so that our own can't
// hide our mistakes.
func TestOpenSSLServer(t *testing.T) {
	dir := plainAuthority(t)
	for name, version := range map[string]string{"TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"} {
		t.Run(name, func(t *testing.T) {
			cfg, err := LoadFiles(dir)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Lookup = lookup
			s := sServer(t, dir, version, "FREE\n")
			c, err := client.New(client.Options{
				Network: client.TLS, Handshake: New(cfg).Handshake,
				Servers: []client.Server{{Name: "boss", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Ports: []int{s.port}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req := client.Words(protocol.Request{}, []string{"accounts", "pubkeys"}, nil)
			if err := c.Stream(ctx, req, s); err != nil || s.replied != "FREE\n" {
				t.Errorf("Stream: %q, %v", s.replied, err)
			}
			if got := <-s.heard; got != "accounts pubkeys " {
				t.Errorf("openssl heard %q", got)
			}
		})
	}
}

// A foreign is a running openssl s_server, behind a listener at port that takes
// the tag off. It is also where its reply is written to.
type foreign struct {
	port    int
	heard   chan string
	replied string
	in      io.Writer
}

// Write takes a part of the reply. When all is here, it has the server take its
// leave: Q at the start of what s_server reads means so.
func (f *foreign) Write(p []byte) (int, error) {
	f.replied += string(p)
	if strings.HasSuffix(f.replied, "\n") {
		io.WriteString(f.in, "Q\n")
	}
	return len(p), nil
}

// sServer runs a server that says reply once it has heard a request.
func sServer(t *testing.T, dir, version, reply string) *foreign {
	t.Helper()
	cmd := exec.Command("openssl", "s_server", "-accept", "127.0.0.1:0", version, "-naccept", "1", "-Verify", "1",
		"-verify_return_error", "-CAfile", CAFile, "-cert", "server.pem")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewReader(out)
	f := &foreign{port: untag(t, accepting(t, lines)), heard: make(chan string, 1), in: in}
	go func() {
		text := until(lines, "accounts pubkeys ")
		f.heard <- text[max(0, len(text)-len("accounts pubkeys ")):]
		io.WriteString(in, reply)
	}()
	return f
}

// until reads to the end of text, or of all.
func until(r io.ByteReader, text string) string {
	var got []byte
	for !strings.HasSuffix(string(got), text) {
		b, err := r.ReadByte()
		if err != nil {
			break
		}
		got = append(got, b)
	}
	return string(got)
}

// accepting reads the address after ACCEPT.
func accepting(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("openssl s_server: %v", err)
		}
		if address, ok := strings.CutPrefix(strings.TrimSpace(line), "ACCEPT "); ok {
			return address
		}
	}
}

// untag passes one connection on to address, without protocol.TLSTag.
func untag(t *testing.T, address string) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		near, err := ln.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		io.ReadFull(near, make([]byte, len(protocol.TLSTag)))
		far, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer far.Close()
		go func() {
			io.Copy(far, near)
			far.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(near, far)
	}()
	return ln.Addr().(*net.TCPAddr).Port
}
