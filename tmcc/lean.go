//go:build lean

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"emujail/tmcc/client"
	"emujail/tmcc/options"
)

// The lean tmcc, which `make build` makes: it asks by the proxy's socket, TCP and
// UDP. To link TLS alone costs each start a third of its time, and of those who ask
// most, jails, none may use it. For TLS and the proxy it becomes the program beside
// it, which is built without the tag lean.
const whole = "tmcc-full"

// become runs the whole tmcc in place of this one. It returns only if it can't.
func become() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), whole)
	return fmt.Errorf("run %s, which has TLS and the proxy: %w", path, syscall.Exec(path, os.Args, os.Environ()))
}

func proxyMode(_ context.Context, m machine, _ *options.Line) int {
	fmt.Fprintf(m.stderr, "tmcc: %v\n", become())
	return exitFailed
}

// needTLS is called as soon as it is known that the question goes by TLS: nothing
// has been read or written yet.
func (q *question) needTLS() error { return fmt.Errorf("%w (-i goes without TLS)", become()) }

func (m machine) handshake(client.Finder) (handshake, error) { return nil, become() }

type handshake = func(context.Context, net.Conn, client.Server, netip.Addr) (net.Conn, error)
