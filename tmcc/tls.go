//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"emujail/tmcc/client"
	"emujail/tmcc/client/tlsdial"
)

// needTLS: this program has it (see lean.go).
func (q *question) needTLS() error { return nil }

type handshake = func(context.Context, net.Conn, client.Server, netip.Addr) (net.Conn, error)

// handshake loads this node's certificates.
func (m machine) handshake(f client.Finder) (handshake, error) {
	cfg, err := tlsdial.LoadFiles(m.etc...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (-i goes without TLS)", err)
	}
	if err != nil {
		return nil, err
	}
	// A name of a certificate is tried once: the connection waits for it.
	f.Tries = 1
	cfg.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
		s, err := f.Lookup(ctx, name)
		return s.Addrs, err
	}
	return tlsdial.New(cfg).Handshake, nil
}
