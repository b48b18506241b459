//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"emujail/proxy"
	"emujail/proxy/control"
	"emujail/tmcc/client"
	"emujail/tmcc/options"
)

// firstInherited is the first descriptor that LISTEN_FDS counts.
const firstInherited = 3

// controlName is the LISTEN_FDNAMES entry of the supervisor's socket.
const controlName = "control"

// inherited takes the sockets that were handed over: a supervisor's control
// socket, or listening sockets whose names say whose they are. LISTEN_PID isn't
// looked at: the supervisor can't know it before the program runs.
func (m machine) inherited(line *options.Line) ([]proxy.Listener, *control.Conn, error) {
	names, err := m.inheritedNames()
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 1 && names[0] == controlName {
		conn, err := control.NewConn(os.NewFile(firstInherited, controlName))
		return nil, conn, err
	}
	if len(names) == 1 && line.VNode != "" {
		names[0] = line.VNode
	}
	var all []proxy.Listener
	for i, name := range names {
		f := os.NewFile(uintptr(firstInherited+i), name)
		ln, err := net.FileListener(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, nil, fmt.Errorf("descriptor %d, %s: %w", firstInherited+i, name, err)
		}
		all = append(all, proxy.Listener{VNode: name, Socket: ln})
	}
	return all, nil, nil
}

// inheritedNames reads LISTEN_FDS and LISTEN_FDNAMES. A name is an identity, so
// there must be one for each socket, and no two alike.
func (m machine) inheritedNames() ([]string, error) {
	text, set := m.getenv("LISTEN_FDS")
	if !set {
		return nil, &usageError{"-proxy wants a path, or sockets handed over by LISTEN_FDS"}
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return nil, fmt.Errorf("LISTEN_FDS=%q: want a number from 1", text)
	}
	text, _ = m.getenv("LISTEN_FDNAMES")
	names := strings.Split(text, ":")
	if len(names) != count {
		return nil, fmt.Errorf("%d sockets handed over, %d names in LISTEN_FDNAMES=%q", count, len(names), text)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			return nil, fmt.Errorf("two sockets of one name in LISTEN_FDNAMES=%q", text)
		}
		if name == controlName && count > 1 {
			return nil, fmt.Errorf("LISTEN_FDNAMES=%q: a supervisor's socket, control, comes alone", text)
		}
		seen[name] = true
	}
	return names, nil
}

// tmcd is whom a proxy without supervisor asks: as this host itself would.
func (m machine) tmcd(ctx context.Context, line *options.Line, log *slog.Logger) (proxy.Tmcd, error) {
	finder := m.findBoss(line, log)
	boss, err := finder.Find(ctx)
	if err != nil {
		return proxy.Tmcd{}, fmt.Errorf("%w (-s names a server)", err)
	}
	t := proxy.Tmcd{Servers: []client.Server{boss}}
	if t.PrivKey, err = m.key(line.KeyFile); err != nil {
		return t, err
	}
	if !m.noTLS(line) {
		t.Handshake, err = m.handshake(finder)
	}
	return t, err
}
