package main

import (
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"emujail/protocol"
	"emujail/tmcc/client/tlsdial"
)

// hostKey is what a host has for TLS.
type hostKey struct {
	key      crypto.Signer
	ca, cert string
}

// tlsResume: requests a second through the proxy where tmcd lets sessions be
// resumed, against those where each is a full handshake with two signatures of
// 2048-bit RSA keys: tmcd's, as Emulab's have them, and the host's.
func tlsResume(b *bench) (float64, error) {
	dir, host, err := b.certificates()
	if err != nil {
		return 0, err
	}
	var ways [2]*door
	for i, mode := range []string{"resumed", "full"} {
		tmcd, err := b.bare(dir, mode)
		if err != nil {
			return 0, err
		}
		defer tmcd.stop()
		if ways[i], err = b.openDoor(tmcd.addr, doors, host); err != nil {
			return 0, err
		}
		defer ways[i].close()
	}
	var got [2][]asked
	for range laps {
		for i, d := range ways {
			a, err := askAll(func(n int) (string, string) { return "unix", d.paths[n] }, doors, lap)
			if err != nil {
				return 0, err
			}
			got[i] = append(got[i], a)
		}
	}
	rate := func(a asked) float64 { return a.rate }
	b.note("tls_resume: resumed %.0f/s, full handshakes %.0f/s (medians of %d turns)",
		median(each(got[0], rate)), median(each(got[1], rate)), laps)
	return median(ratios(got[0], got[1], rate)), nil
}

// certificates makes a testbed's with tmcd-mock.
func (b *bench) certificates() (dir string, host *hostKey, err error) {
	mock, err := b.build("./tmcd-mock")
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(b.dir, "certificates")
	if _, err := os.Stat(dir); err != nil {
		out, err := exec.Command(mock, "pki", dir, "--key", "rsa", "--server-name", "boss.emulab.test", "--server-ip", "127.0.0.1").CombinedOutput()
		if err != nil {
			return "", nil, fmt.Errorf("tmcd-mock pki: %w: %s", err, out)
		}
	}
	ca, err := os.ReadFile(filepath.Join(dir, tlsdial.CAFile))
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(dir, tlsdial.ClientFile)
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return "", nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return "", nil, errors.New("the host's key can't sign")
	}
	host = &hostKey{key: signer, ca: string(ca)}
	for _, der := range pair.Certificate {
		host.cert += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return dir, host, nil
}

// securePeer is peer with TLS as tmcd speaks it: a tag first, a certificate
// wanted. In mode full no session is resumed.
func securePeer(dir, mode string) error {
	file := filepath.Join(dir, "server.pem")
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return err
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
		SessionTicketsDisabled: mode == "full", MinVersion: tls.VersionTLS12,
	}
	return answerEach(func(raw net.Conn) (net.Conn, error) {
		var tag [len(protocol.TLSTag)]byte
		if _, err := io.ReadFull(raw, tag[:]); err != nil {
			return nil, err
		}
		return tls.Server(raw, cfg), nil
	})
}
