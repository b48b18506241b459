package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"emujail/tmcc/cache"
	"emujail/tmcc/client"
	"emujail/tmcc/options"
)

// A route is how tmcd is reached. The zero value is one not yet found out.
type route struct {
	network string
	path    string        // for unix
	server  client.Server // else; empty until someone must be connected to
}

func (r route) String() string {
	switch {
	case r.network == client.Unix:
		return "the proxy at " + r.path
	case r.server.Name == "":
		return "tmcd"
	}
	return fmt.Sprintf("%s %v", r.server.Name, r.server.Addrs)
}

// findRoute decides between the proxy's socket and the networks; it looks up no
// name yet.
func (q *question) findRoute() (route, error) {
	if q.route.network != "" {
		return q.route, nil
	}
	path, err := q.socket()
	if err != nil {
		return route{}, err
	}
	switch {
	case path != "":
		q.route = route{network: client.Unix, path: path}
	case q.line.TPM:
		return route{}, errors.New("-T: this tmcc can't use a TPM; without -T the key in client.pem is used")
	case q.line.UDP:
		q.route.network = client.UDP
	case q.noTLS(q.line):
		q.route.network = client.TCP
	default:
		if err := q.needTLS(); err != nil {
			return route{}, err
		}
		q.route.network = client.TLS
	}
	return q.route, nil
}

// socket is the proxy's: the one that -l names, else the one of this jail. Who
// names a server or a key wants to go without.
func (q *question) socket() (string, error) {
	if q.line.Unix != "" || q.line.NoProxyPath || q.line.Given('s') || q.line.Given('k') {
		return q.line.Unix, nil
	}
	path, err := cache.ProxyPath(q.boot)
	if err != nil {
		return "", fmt.Errorf("%w (-D goes without it)", err)
	}
	return path, nil
}

func (m machine) noTLS(line *options.Line) bool {
	_, set := m.getenv("TMCCNOSSL")
	return line.NoTLS || set
}

// connect makes the client for the route, once.
func (q *question) connect(ctx context.Context) (*client.Client, error) {
	if q.client != nil {
		return q.client, nil
	}
	r, err := q.findRoute()
	if err != nil {
		return nil, err
	}
	o := client.Options{
		Network: r.network, UnixPath: r.path,
		Timeout: q.line.Timeout, Logger: q.log,
		Spin: func() time.Duration { return spinTime },
	}
	if r.network != client.Unix {
		if err := q.addServer(ctx, &o); err != nil {
			return nil, err
		}
	}
	q.client, err = client.New(o)
	return q.client, err
}

// spinTime is how long tmcc looks for the answer before it sleeps: a tmcd on this
// host is as soon as that, and the rest of the program needn't be loaded.
const spinTime = 500 * time.Microsecond

// addServer finds the server to ask, and what TLS needs.
func (q *question) addServer(ctx context.Context, o *client.Options) (err error) {
	finder := q.findBoss(q.line, q.log)
	if o.Network == client.TLS {
		if o.Handshake, err = q.handshake(finder); err != nil {
			return err
		}
	}
	if q.line.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, q.line.Timeout, client.ErrNoProgress)
		defer cancel()
	}
	boss, err := finder.Find(ctx)
	if err != nil {
		return q.explain(fmt.Errorf("%w (-s names a server)", err))
	}
	q.route.server = boss
	o.Servers = []client.Server{boss}
	o.Redirect = func(ctx context.Context, host string) (client.Server, error) {
		s, err := finder.Lookup(ctx, host)
		s.Ports = boss.Ports
		return s, err
	}
	return nil
}

// findBoss is how the server of this line is found.
func (m machine) findBoss(line *options.Line, log *slog.Logger) client.Finder {
	f := m.finder
	f.Server, f.Port, f.Dirs, f.Logger = line.Server, line.Port, m.etc, log
	f.Env, _ = m.getenv("BOSSNAME")
	return f
}
