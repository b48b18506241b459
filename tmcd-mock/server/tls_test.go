package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/pki"
)

// withTLS serves with certificates in a directory made for it.
func withTLS(t testing.TB, change func(*Options)) (*Server, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	if _, err := pki.Create(dir, pki.Options{}); err != nil {
		t.Fatal(err)
	}
	return start(t, func(o *Options) {
		o.TLS = tlsOf(t, dir)
		if change != nil {
			change(o)
		}
	}), dir
}

func tlsOf(t testing.TB, dir string) func() *tls.Config {
	t.Helper()
	m, err := pki.Load(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config := m.ServerTLS()
	return func() *tls.Config { return config }
}

// tagger listens for a client that can't send the tag, as the openssl command can't, and sends it.
func tagger(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { splice(c, s.Addrs()[0].String()) })
		}
	})
	return l.Addr().String()
}

func splice(c net.Conn, to string) {
	defer c.Close()
	d, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer d.Close()
	if _, err := io.WriteString(d, protocol.TLSTag); err != nil {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(d, c); _ = d.(*net.TCPConn).CloseWrite() }()
	_, _ = io.Copy(c, d)
	_ = c.Close()
	<-done
}

// sClient asks with `openssl s_client`, and returns what came on its standard output.
func sClient(t testing.TB, s *Server, dir, request string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// -ign_eof: our end of input is no reason to hang up before the answer.
	line := append([]string{"s_client", "-connect", tagger(t, s), "-quiet", "-ign_eof", "-verify_return_error", "-CAfile", pki.CAFile}, args...)
	cmd := exec.CommandContext(ctx, "openssl", line...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(request)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its exit code says as much as the output: nothing after a refusal
	t.Logf("openssl: %s", errs.String())
	return out.String()
}

func TestOpensslAsClient(t *testing.T) {
	s, dir := withTLS(t, nil)
	mine := []string{"-cert", pki.ClientFile, "-key", pki.ClientFile}
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"TLS 1.2", append([]string{"-tls1_2"}, mine...), "127.0.0.1 tls\n"},
		{"TLS 1.3", append([]string{"-tls1_3"}, mine...), "127.0.0.1 tls\n"},
		{"TLS 1.1 is refused", append([]string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, mine...), ""},
		{"no certificate, TLS 1.2", []string{"-tls1_2"}, ""},
		{"no certificate, TLS 1.3", []string{"-tls1_3"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := sClient(t, s, dir, "VERSION=40 nodeid ", row.args...); got != row.want {
				t.Errorf("answer %q, want %q", got, row.want)
			}
		})
	}
}

func TestStrangersCertificateIsRefused(t *testing.T) {
	s, dir := withTLS(t, nil)
	other := filepath.Join(t.TempDir(), "other")
	if _, err := pki.Create(other, pki.Options{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other, pki.ClientFile)
	if got := sClient(t, s, dir, "VERSION=40 nodeid ", "-cert", file, "-key", file); got != "" {
		t.Errorf("a certificate of another CA was answered: %q", got)
	}
	if e := event(t, s, 1); !strings.Contains(string(e.Why), "TLS handshake") {
		t.Errorf("the journal says %q", e.Why)
	}
}

func TestRevokedClientIsRefused(t *testing.T) {
	s, dir := withTLS(t, nil)
	mine := []string{"-cert", pki.ClientFile, "-key", pki.ClientFile}
	if got := sClient(t, s, dir, "VERSION=40 nodeid ", mine...); got == "" {
		t.Fatal("no answer before the revocation")
	}
	ca, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Revoke(pki.ClientFile, time.Now()); err != nil {
		t.Fatal(err)
	}
	s2 := start(t, func(o *Options) { o.TLS = tlsOf(t, dir) })
	if got := sClient(t, s2, dir, "VERSION=40 nodeid ", mine...); got != "" {
		t.Errorf("a revoked certificate was answered: %q", got)
	}
	if e := event(t, s2, 1); !strings.Contains(string(e.Why), "revoked") {
		t.Errorf("the journal says %q", e.Why)
	}
}

func TestPlainOpensslCA(t *testing.T) {
	dir := t.TempDir()
	script := `set -e
openssl req -x509 -nodes -days 2 -newkey rsa:2048 -subj /CN=ca -keyout ca.key -out emulab.pem
for who in server client; do
  openssl req -nodes -newkey rsa:2048 -subj /CN=localhost -keyout $who.key -out $who.csr
  openssl x509 -req -days 2 -in $who.csr -CA emulab.pem -CAkey ca.key -CAcreateserial -out $who.crt
  cat $who.crt $who.key > $who.pem; chmod 600 $who.pem
done`
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := start(t, func(o *Options) { o.TLS = tlsOf(t, dir) })
	if got := sClient(t, s, dir, "VERSION=40 nodeid ", "-cert", "client.pem", "-key", "client.pem"); got != "127.0.0.1 tls\n" {
		t.Errorf("answer %q", got)
	}
}

// dialTLS is a client of Go's library; it sends a write of up to 16384 bytes as one record.
func dialTLS(t testing.TB, s *Server, dir string) *tls.Conn {
	t.Helper()
	c := dial(t, s, "127.0.0.1")
	write(t, c, protocol.TLSTag)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, pki.ClientFile), filepath.Join(dir, pki.ClientFile))
	if err != nil {
		t.Fatal(err)
	}
	return tls.Client(c, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, DynamicRecordSizingDisabled: true})
}

// One record is read, whatever follows, and no end is waited for.
func TestTLSReadsOneRecord(t *testing.T) {
	s, dir := withTLS(t, func(o *Options) { o.Limits.Idle = time.Minute })
	head := "VERSION=40 bootlog "
	for _, row := range []struct {
		name   string
		writes []string
		want   int
	}{
		{"small", []string{head + "x"}, 1},
		{"a full record", []string{head + strings.Repeat("B", protocol.MaxRequestTLS-len(head))}, protocol.MaxRequestTLS - len(head)},
		{"more than a record", []string{head + strings.Repeat("B", 20000)}, protocol.MaxRequestTLS - len(head)},
		{"two records", []string{head + "one", "two"}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := dialTLS(t, s, dir)
			for i, w := range row.writes {
				if _, err := io.WriteString(c, w); err != nil && i == 0 {
					t.Fatal(err)
				}
			}
			got := readAll(t, c)
			if !strings.HasPrefix(got, fmt.Sprintf("%d ", row.want)) {
				t.Errorf("answer %q, want %d bytes of arguments", got, row.want)
			}
		})
	}
}

func TestT38FaultsTLS(t *testing.T) {
	const answer = "127.0.0.1 tls\n"
	for _, row := range []struct {
		rule  string
		want  string
		least time.Duration
	}{
		{"refuse", "", 0},
		{"hang delay=200ms", "", 200 * time.Millisecond},
		{"redirect to=192.0.2.9", "REDIRECT=192.0.2.9\n", 0},
		{"loop", "REDIRECT=127.0.0.1\n", 0},
		{"delay delay=200ms", answer, 200 * time.Millisecond},
		{"reset bytes=0", "", 0},
		{"cut bytes=4", "127.", 0},
		{"empty", "", 0},
		{"half-close", answer, 0},
		{"slow-close delay=200ms", answer, 200 * time.Millisecond},
		{"drip rate=50", answer, 200 * time.Millisecond},
		{"slice bytes=7 delay=200ms", answer, 200 * time.Millisecond},
		{"wrong-cert", "", 0},
		{"down", "", 0},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s, dir := withTLS(t, func(o *Options) { o.Faults = rules(t, row.rule) })
			begun := time.Now()
			// openssl verifies the server, so wrong-cert shows.
			got := sClient(t, s, dir, "VERSION=40 nodeid ", "-cert", pki.ClientFile, "-key", pki.ClientFile)
			if got != row.want {
				t.Errorf("answer %q, want %q", got, row.want)
			}
			if took := time.Since(begun); took < row.least {
				t.Errorf("took %v, want %v at least", took, row.least)
			}
		})
	}
}

func TestHandshakeHasADeadline(t *testing.T) {
	s, _ := withTLS(t, func(o *Options) { o.Limits.Request = 200 * time.Millisecond })
	c := dial(t, s, "127.0.0.1")
	write(t, c, protocol.TLSTag)
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil && !isReset(err) && !os.IsTimeout(err) {
		t.Errorf("%q, %v", b, err)
	}
	if e := event(t, s, 1); !strings.Contains(string(e.Why), "TLS handshake") {
		t.Errorf("the journal says %q", e.Why)
	}
}

// TestClientCertificate: whoever answers sees the client's certificate, and none without TLS.
func TestClientCertificate(t *testing.T) {
	sum := func(q answer.Query) answer.Result {
		return answer.Result{Reply: fmt.Appendf(nil, "%d %x\n", len(q.Peer), sha256.Sum256(q.Peer))}
	}
	s, dir := withTLS(t, func(o *Options) { o.Answer = sum })
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, pki.ClientFile), filepath.Join(dir, pki.ClientFile))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d %x\n", len(pair.Certificate[0]), sha256.Sum256(pair.Certificate[0]))
	if got := sClient(t, s, dir, "VERSION=40 nodeid ", "-cert", pki.ClientFile, "-key", pki.ClientFile); got != want {
		t.Errorf("over TLS %q, want %q", got, want)
	}
}
