package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"emujail/protocol"
)

func TestReplies(t *testing.T) {
	long := strings.Repeat("0123456789abcde\n", 1<<16)
	for name, row := range map[string]struct {
		handle func(net.Conn) string
		want   string
	}{
		"a line":                     {answer("ALLOCATED=p/e NICKNAME=n\n"), "ALLOCATED=p/e NICKNAME=n\n"},
		"nothing":                    {answer(""), ""},
		"no newline":                 {answer("x"), "x"},
		"a megabyte":                 {answer(long), long},
		"a server that reads once":   {readOnce("FREE\n"), "FREE\n"},
		"part of a redirect":         {answer("REDIRECT"), "REDIRECT"},
		"almost a redirect":          {answer("REDIRECTED=x\n"), "REDIRECTED=x\n"},
		"a redirect later":           {answer("A=b\nREDIRECT=evil\n"), "A=b\nREDIRECT=evil\n"},
		"a byte at a time":           {drip("REDO=1\nx", time.Millisecond), "REDO=1\nx"},
		"binary":                     {answer("\x00\x00\xff"), "\x00\x00\xff"},
		"a redirect in another case": {answer("redirect=x\n"), "redirect=x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, "tcp", "127.0.0.1:0", row.handle)
			c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
			got, err := c.Do(within(t), status())
			if err != nil || string(got) != row.want {
				t.Errorf("Do = %.40q, %v; want %.40q", got, err, row.want)
			}
			if reqs := p.requests(); len(reqs) != 1 || reqs[0] != "VERSION=40 status " {
				t.Errorf("the server saw %q", reqs)
			}
		})
	}
}

func TestRefusedPortThenNext(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("FREE\n"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(closedPort(t), p.port()), RefusedWait: -1})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "FREE\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

func TestUnreachableAddressThenNext(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("FREE\n"))
	nowhere := Server{Name: "old", Addrs: []netip.Addr{netip.MustParseAddr("255.255.255.255")}, Ports: []int{1, 2}}
	c := mustNew(t, Options{Network: TCP, Servers: append([]Server{nowhere}, localhost(p.port())...)})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "FREE\n" {
		t.Errorf("Do = %q, %v", got, err)
	}
}

// Any connect error but a refusal ends it: no pause, no second round.
func TestUnreachableEnds(t *testing.T) {
	nowhere := Server{Name: "boss", Addrs: []netip.Addr{netip.MustParseAddr("255.255.255.255")}}
	c := mustNew(t, Options{Network: TCP, Servers: []Server{nowhere}, RefusedWait: time.Hour})
	_, err := c.Do(within(t), status())
	if err == nil || errors.Is(err, ErrMaybeSeen) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do: %v", err)
	}
	if !strings.Contains(err.Error(), `ask "status": connect to boss (255.255.255.255:7777): `) {
		t.Errorf("message: %v", err)
	}
}

// onPause calls deed when the client tells that it pauses.
type onPause struct {
	slog.Handler
	once sync.Once
	deed func()
}

func (h *onPause) Enabled(context.Context, slog.Level) bool { return true }
func (h *onPause) Handle(context.Context, slog.Record) error {
	h.once.Do(h.deed)
	return nil
}

func TestRefusedThenPauseThenAnswer(t *testing.T) {
	port := closedPort(t)
	var p *peer
	h := &onPause{Handler: slog.DiscardHandler}
	h.deed = func() { p = serve(t, "tcp", localhost(port)[0].addr(port), answer("FREE\n")) }
	c := mustNew(t, Options{
		Network: TCP, Servers: localhost(port), RefusedWait: time.Millisecond, Logger: slog.New(h),
	})
	if got, err := c.Do(within(t), status()); err != nil || string(got) != "FREE\n" {
		t.Fatalf("Do = %q, %v", got, err)
	}
	if reqs := p.requests(); len(reqs) != 1 {
		t.Errorf("asked %d times", len(reqs))
	}
}

func (s Server) addr(port int) string {
	return netip.AddrPortFrom(s.Addrs[0], uint16(port)).String()
}

func TestRefusedUntilTimeout(t *testing.T) {
	c := mustNew(t, Options{
		Network: TCP, Servers: localhost(closedPort(t)),
		RefusedWait: 5 * time.Millisecond, Timeout: 40 * time.Millisecond,
	})
	_, err := c.Do(within(t), status())
	if !errors.Is(err, ErrNoProgress) || !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, ErrMaybeSeen) {
		t.Errorf("Do: %v", err)
	}
}

// Never twice: after a reset the request is not repeated, neither on the next
// port nor after a pause.
func TestNeverTwice(t *testing.T) {
	for name, first := range map[string]string{"before a byte": "", "after some": "ADDUSER LOGIN=a"} {
		t.Run(name, func(t *testing.T) {
			one := serve(t, "tcp", "127.0.0.1:0", reset(first))
			two := serve(t, "tcp", "127.0.0.1:0", answer("never\n"))
			c := mustNew(t, Options{
				Network: TCP, RefusedWait: time.Millisecond,
				Servers: append(localhost(one.port(), two.port()), localhost(two.port())...),
			})
			got, err := c.Do(within(t), status())
			if !errors.Is(err, ErrMaybeSeen) || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Do = %q, %v", got, err)
			}
			if !strings.HasPrefix(first, string(got)) {
				t.Errorf("Do = %q, want a part of %q", got, first)
			}
			if a, b := one.requests(), two.requests(); len(a) != 1 || len(b) != 0 {
				t.Errorf("asked %d and %d times", len(a), len(b))
			}
		})
	}
}

func TestNoProgress(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", silent(t.Context()))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port()), Timeout: 30 * time.Millisecond})
	_, err := c.Do(within(t), status())
	if !errors.Is(err, ErrNoProgress) || !errors.Is(err, ErrMaybeSeen) {
		t.Errorf("Do: %v", err)
	}
}

// Bytes that arrive renew the time-out: the whole may take longer than it.
func TestProgressRenews(t *testing.T) {
	const patience = 2 * time.Second
	reply := strings.Repeat("x", 25)
	p := serve(t, "tcp", "127.0.0.1:0", drip(reply, 100*time.Millisecond))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port()), Timeout: patience})
	start := time.Now()
	got, err := c.Do(within(t), status())
	if err != nil || string(got) != reply {
		t.Errorf("Do = %q, %v", got, err)
	}
	if took := time.Since(start); took < patience {
		t.Errorf("took %v, which shows nothing", took)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(within(t))
	stop := errors.New("changed my mind")
	p := serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) string {
		cancel(stop)
		<-t.Context().Done()
		return ""
	})
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
	if _, err := c.Do(ctx, status()); !errors.Is(err, stop) {
		t.Errorf("Do: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	hook := func(_ context.Context, c net.Conn, _ Server, _ netip.Addr) (net.Conn, error) { return c, nil }
	for network, limit := range map[string]int{
		TCP: protocol.MaxRequest, TLS: protocol.MaxRequestTLS, UDP: protocol.MaxUDPRequest,
	} {
		t.Run(network, func(t *testing.T) {
			c := mustNew(t, Options{Network: network, Servers: localhost(closedPort(t)), RefusedWait: -1, Handshake: hook})
			req := status()
			req.Args = bytes.Repeat([]byte("x"), limit-len(status().Append(nil)))
			if _, err := c.Do(within(t), req); errors.Is(err, ErrTooLarge) {
				t.Errorf("%d bytes: %v", limit, err)
			}
			req.Args = append(req.Args, 'x')
			if _, err := c.Do(within(t), req); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%d bytes: %v", limit+1, err)
			}
		})
	}
}

func TestReplyTooLarge(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("0123456789"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port()), MaxReply: 9})
	if _, err := c.Do(within(t), status()); !errors.Is(err, ErrReplyTooLarge) || errors.Is(err, ErrMaybeSeen) {
		t.Errorf("Do: %v", err)
	}
}

func TestWriterFails(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("FREE\n"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
	r, w := io.Pipe()
	full := errors.New("disk full")
	r.CloseWithError(full)
	if err := c.Stream(within(t), status(), w); !errors.Is(err, full) || errors.Is(err, ErrMaybeSeen) {
		t.Errorf("Stream: %v", err)
	}
}

func TestPreface(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("FREE\n"))
	c := mustNew(t, Options{
		Network: TCP, Servers: localhost(p.port()),
		Preface: func(raw net.Conn, req protocol.Request) ([]byte, error) {
			return []byte("PROXY " + req.ProxyFor + "\r\n"), nil
		},
	})
	req := status()
	req.ProxyFor = "pcvm1-1"
	if _, err := c.Do(within(t), req); err != nil {
		t.Fatal(err)
	}
	if got := p.requests(); got[0] != "PROXY pcvm1-1\r\nPROXYFOR=pcvm1-1 VERSION=40 status " {
		t.Errorf("the server saw %q", got)
	}
}

func TestBadOptions(t *testing.T) {
	for name, row := range map[string]struct {
		o    Options
		want string
	}{
		"no network":   {Options{}, `unknown network ""`},
		"no server":    {Options{Network: TCP}, "no server"},
		"no address":   {Options{Network: UDP, Servers: []Server{{Name: "boss"}}}, `"boss" has no address`},
		"no handshake": {Options{Network: TLS, Servers: localhost(1)}, "needs a Handshake"},
		"no path":      {Options{Network: Unix}, "needs a path"},
		"long path":    {Options{Network: Unix, UnixPath: "/" + strings.Repeat("x", 107)}, "of 108 bytes, at most 107"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(row.o); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("New: %v, want %q", err, row.want)
			}
		})
	}
}
