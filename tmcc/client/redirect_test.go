package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"emujail/protocol"
)

// two servers, the first of which redirects to the second.
func redirected(t *testing.T, line string, req protocol.Request) (reply []byte, first, second []string, err error) {
	t.Helper()
	a := serve(t, "tcp", "127.0.0.1:0", answer(line))
	b := serve(t, "tcp", "127.0.0.2:0", answer("hello\n"))
	servers := localhost(a.port())
	servers = append(servers, Server{
		Name: "inner.example.net", Ports: []int{b.port()},
		Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2")},
	})
	c := mustNew(t, Options{Network: TCP, Servers: servers})
	reply, err = c.Do(within(t), req)
	return reply, a.requests(), b.requests(), err
}

func TestRedirect(t *testing.T) {
	for name, row := range map[string]struct{ line, vnode, want string }{
		"by name":           {"REDIRECT=Inner.Example.net\n", "", "VERSION=40 status "},
		"by address":        {"REDIRECT=127.0.0.2\n", "", "VERSION=40 status "},
		"without newline":   {"REDIRECT=127.0.0.2", "", "VERSION=40 status "},
		"with a vnode":      {"REDIRECT=127.0.0.2:pc7\nrest", "", "VNODEID=pc7 VERSION=40 status "},
		"instead of mine":   {"REDIRECT=127.0.0.2:pc7\n", "pcvm1-1", "VNODEID=pc7 VERSION=40 status "},
		"keeping mine":      {"REDIRECT=127.0.0.2\n", "pcvm1-1", "VNODEID=pcvm1-1 VERSION=40 status "},
		"colon, no vnode":   {"REDIRECT=127.0.0.2:\n", "pcvm1-1", "VNODEID=pcvm1-1 VERSION=40 status "},
		"more after a line": {"REDIRECT=127.0.0.2\nREDIRECT=127.0.0.3\n", "", "VERSION=40 status "},
	} {
		t.Run(name, func(t *testing.T) {
			req := status()
			req.VNodeID = row.vnode
			got, first, second, err := redirected(t, row.line, req)
			if err != nil || string(got) != "hello\n" {
				t.Errorf("Do = %q, %v", got, err)
			}
			if len(first) != 1 || len(second) != 1 || second[0] != row.want {
				t.Errorf("servers saw %q and %q, want %q", first, second, row.want)
			}
		})
	}
}

// T29: redirects only from tmcd's first bytes, only to configured bosses.
func TestRedirectRefused(t *testing.T) {
	for name, row := range map[string]struct{ line, proxyFor string }{
		"unknown host":       {"REDIRECT=evil.example.net\n", ""},
		"unknown address":    {"REDIRECT=127.0.0.3\n", ""},
		"no host":            {"REDIRECT=\n", ""},
		"no host, a vnode":   {"REDIRECT=:pc7\n", ""},
		"two vnodes":         {"REDIRECT=127.0.0.2:a:b\n", ""},
		"control characters": {"REDIRECT=127.0.0.2\r\n", ""},
		"space":              {"REDIRECT=127.0.0.2 x\n", ""},
		"endless line":       {"REDIRECT=" + strings.Repeat("x", 5000), ""},
		"long vnode":         {"REDIRECT=127.0.0.2:" + strings.Repeat("x", 31) + "\n", ""},
		"a sibling's name":   {"REDIRECT=127.0.0.2:pcvm1-2\n", "pcvm1-1"},
	} {
		t.Run(name, func(t *testing.T) {
			req := status()
			req.ProxyFor = row.proxyFor
			got, _, second, err := redirected(t, row.line, req)
			if !errors.Is(err, ErrRedirect) || len(got) != 0 || len(second) != 0 {
				t.Errorf("Do = %q, %v; the second server saw %q", got, err, second)
			}
		})
	}
}

func TestRedirectSameJail(t *testing.T) {
	req := status()
	req.ProxyFor = "pcvm1-1"
	_, _, second, err := redirected(t, "REDIRECT=127.0.0.2:pcvm1-1\n", req)
	if err != nil || len(second) != 1 || second[0] != "PROXYFOR=pcvm1-1 VERSION=40 status " {
		t.Errorf("%v; the second server saw %q", err, second)
	}
}

func TestRedirectLoop(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("REDIRECT=boss\n"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
	_, err := c.Do(within(t), status())
	if !errors.Is(err, ErrRedirect) {
		t.Errorf("Do: %v", err)
	}
	if n := len(p.requests()); n != MaxRedirects+1 {
		t.Errorf("asked %d times, want %d", n, MaxRedirects+1)
	}
}

func TestRedirectHook(t *testing.T) {
	b := serve(t, "tcp", "127.0.0.1:0", answer("hello\n"))
	a := serve(t, "tcp", "127.0.0.1:0", answer("REDIRECT=anywhere\n"))
	c := mustNew(t, Options{
		Network: TCP, Servers: localhost(a.port()),
		Redirect: func(_ context.Context, host string) (Server, error) {
			if host != "anywhere" {
				return Server{}, fmt.Errorf("asked for %q", host)
			}
			return localhost(b.port())[0], nil
		},
	})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "hello\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

// Inside a jail the proxy has followed redirects; what looks like one is text.
func TestNoRedirectOverUnix(t *testing.T) {
	path := shortSocket(t)
	serve(t, "unix", path, answer("REDIRECT=boss\n"))
	c := mustNew(t, Options{Network: Unix, UnixPath: path})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "REDIRECT=boss\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

func TestRedirectOverUDP(t *testing.T) {
	b := datagrams(t, func(string) string { return "hello\n" })
	a := datagrams(t, func(string) string { return "REDIRECT=boss2\n" })
	servers := append(localhost(a.port), localhost(b.port)...)
	servers[1].Name = "boss2"
	c := mustNew(t, Options{Network: UDP, Servers: servers})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "hello\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}
