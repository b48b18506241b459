package control

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair gives both ends as Conns.
func pair(t *testing.T) (*Conn, *Conn) {
	t.Helper()
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestReceiveAfterCancel: a context that ends just as a message comes ends no
// later wait.
func TestReceiveAfterCancel(t *testing.T) {
	a, b := pair(t)
	for i := range 20000 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := a.Send(Message{Op: OpDrain}); err != nil {
			t.Fatal(err)
		}
		go cancel()
		_, _, err := b.Receive(ctx)
		cancel()
		if err == nil {
			err = a.Send(Message{Op: OpDrain})
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, _, err := b.Receive(t.Context()); err != nil { // the first message, if that wasn't received
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

func TestMessageArrivesAsSent(t *testing.T) {
	a, b := pair(t)
	sent := Message{
		Op:        OpTmcd,
		Servers:   []Server{{Name: "boss", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Ports: []int{7777}, ProxyHeader: true}},
		Redirects: []Server{{Name: "subboss", Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}}},
		TLS:       &TLS{CA: "ca", Cert: "cert"},
		Version:   40,
	}
	if err := a.Send(sent); err != nil {
		t.Fatal(err)
	}
	got, files, err := b.Receive(within(t))
	if err != nil || len(files) != 0 {
		t.Fatalf("got %d files, error %v", len(files), err)
	}
	equal := cmp.Comparer(func(x, y netip.Addr) bool { return x == y })
	if diff := cmp.Diff(sent, got, equal); diff != "" {
		t.Error(diff)
	}
}

func TestDescriptorsArriveInOrder(t *testing.T) {
	for _, n := range []int{1, 2, MaxFiles} {
		a, b := pair(t)
		dir := t.TempDir()
		var files []*os.File
		for i := range n {
			f, err := os.Create(filepath.Join(dir, strings.Repeat("x", i+1)))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		if err := a.Send(Message{Op: OpListen}, files...); err != nil {
			t.Fatal(err)
		}
		_, got, err := b.Receive(within(t))
		if err != nil || len(got) != n {
			t.Fatalf("%d sent: got %d, error %v", n, len(got), err)
		}
		for i := range got {
			want, _ := files[i].Stat()
			have, err := got[i].Stat()
			if err != nil || !os.SameFile(want, have) {
				t.Fatalf("%d sent: number %d is another file (error %v)", n, i, err)
			}
		}
		if err := CloseFiles(got); err != nil {
			t.Error(err)
		}
	}
}

func TestSendingKeepsSocketsNonBlocking(t *testing.T) {
	a, b := pair(t)
	_, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, _ := f.SyscallConn()
	raw.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), true) })
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Send(Message{Op: OpListen}, f); err != nil {
		t.Fatal(err)
	}
	_, got, err := b.Receive(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFiles(got)
	raw, _ = got[0].SyscallConn()
	raw.Control(func(fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		if errno != 0 || flags&syscall.O_NONBLOCK == 0 {
			t.Errorf("flags %x, errno %v: the socket has become a blocking one", flags, errno)
		}
	})
}

func TestTooBigIsRefusedBeforeSending(t *testing.T) {
	a, b := pair(t)
	if err := a.Send(Message{Op: OpError, Error: strings.Repeat("x", MaxMessage)}); !errors.Is(err, ErrTooBig) {
		t.Errorf("long message: %v", err)
	}
	if err := a.Send(Message{Op: OpListen}, make([]*os.File, MaxFiles+1)...); !errors.Is(err, ErrTooBig) {
		t.Errorf("many files: %v", err)
	}
	if err := a.Send(Message{Op: OpReady}); err != nil {
		t.Fatal(err)
	}
	if m, _, err := b.Receive(within(t)); err != nil || m.Op != OpReady {
		t.Errorf("afterwards: %+v, %v", m, err)
	}
}

func TestBadPacketsLeaveTheConnectionUsable(t *testing.T) {
	for name, packet := range map[string]string{
		"no json":       "{",
		"no op":         `{"re":"x"}`,
		"too long":      strings.Repeat(" ", MaxMessage+10),
		"wrong type":    `{"op":7}`,
		"a bad address": `{"op":"tmcd","servers":[{"addrs":["x"]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			if _, err := a.Socket().Write([]byte(packet)); err != nil {
				t.Fatal(err)
			}
			if m, _, err := b.Receive(within(t)); err == nil {
				t.Errorf("accepted as %+v", m)
			}
			if err := a.Send(Message{Op: OpReady}); err != nil {
				t.Fatal(err)
			}
			if m, _, err := b.Receive(within(t)); err != nil || m.Op != OpReady {
				t.Errorf("afterwards: %+v, %v", m, err)
			}
		})
	}
}

func TestReceiveEnds(t *testing.T) {
	a, b := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := a.Send(Message{Op: OpReady}); err != nil {
		t.Fatal(err)
	}
	if m, _, err := b.Receive(within(t)); err != nil || m.Op != OpReady {
		t.Errorf("after a cancelled one: %+v, %v", m, err)
	}
	a.Close()
	if _, _, err := b.Receive(within(t)); !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
}

func TestNewConnWantsSeqpacket(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1])
	if _, err := NewConn(os.NewFile(uintptr(fds[0]), "stream")); err == nil {
		t.Error("a stream socket was accepted")
	}
}

// connect runs both halves of signing over a real connection.
func connect(t *testing.T, server *SignServer) crypto.Signer {
	a, b := pair(t)
	signatures := NewSignatures(func(m Message) error { return a.Send(m) })
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			m, _, err := b.Receive(t.Context())
			if err != nil || b.Send(server.Answer(m)) != nil {
				return
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			m, _, err := a.Receive(t.Context())
			if err != nil {
				return
			}
			signatures.Deliver(m)
		}
	}()
	t.Cleanup(func() { a.Close(); b.Close(); <-done; <-done })
	return signatures.Key(server.Key.Public())
}

func TestSignerSignsWithTheOtherSidesKey(t *testing.T) {
	digest := sha256.Sum256([]byte("handshake"))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

	sig, err := connect(t, &SignServer{Key: rsaKey}).Sign(nil, digest[:], pss)
	if err != nil || rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA256, digest[:], sig, pss) != nil {
		t.Errorf("RSA-PSS: %v", err)
	}
	sig, err = connect(t, &SignServer{Key: rsaKey}).Sign(nil, digest[:], crypto.SHA256)
	if err != nil || rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, digest[:], sig) != nil {
		t.Errorf("RSA PKCS #1: %v", err)
	}
	sig, err = connect(t, &SignServer{Key: ecKey}).Sign(nil, digest[:], crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(&ecKey.PublicKey, digest[:], sig) {
		t.Errorf("ECDSA: %v", err)
	}
}

func TestSignServerLimitsACapturedProxy(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var reported int
	s := &SignServer{Key: key, Rate: 3, Report: func(Message, error) { reported++ }}
	good := Message{Op: OpSign, Digest: make([]byte, 32), Hash: uint(crypto.SHA256)}
	for name, m := range map[string]Message{
		"no hash":        {Op: OpSign, Digest: []byte("chosen text")},
		"md5":            {Op: OpSign, Digest: make([]byte, 16), Hash: uint(crypto.MD5)},
		"digest too big": {Op: OpSign, Digest: make([]byte, 64), Hash: uint(crypto.SHA256)},
	} {
		if a := s.Answer(m); a.Error == "" {
			t.Errorf("%s: signed", name)
		}
	}
	now := time.Now()
	for i := range 3 {
		if _, err := s.sign(good, now); err != nil {
			t.Errorf("number %d: %v", i, err)
		}
	}
	if _, err := s.sign(good, now); !errors.Is(err, ErrSignRate) {
		t.Errorf("over the rate: %v", err)
	}
	if _, err := s.sign(good, now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
	if reported != 3 {
		t.Errorf("%d reports, want one an Answer", reported)
	}
}
