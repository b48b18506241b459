//go:build !linux

package client

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// dialTCP connects to addr, for at most limit if that isn't 0.
func dialTCP(ctx context.Context, addr netip.AddrPort, limit time.Duration, _ bool) (net.Conn, error) {
	d := net.Dialer{Timeout: limit, KeepAlive: -1}
	return d.DialContext(ctx, "tcp", addr.String())
}
