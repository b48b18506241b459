package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"emujail/protocol"
)

// peers are the servers that scripts start, by the script's directory.
type peers struct {
	mu  sync.Mutex
	all map[string][]*peer
}

func newPeers() *peers { return &peers{all: make(map[string][]*peer)} }

// A peer is a tmcd of one trick. It keeps what it was sent.
type peer struct {
	name  string
	done  context.Context
	end   context.CancelFunc
	close func() error
	wg    sync.WaitGroup

	mu   sync.Mutex
	seen []string
}

// A way is what a peer does with a connection whose request it has read.
type way func(p *peer, c net.Conn, req string)

// serve [-tls] NAME NETWORK ADDRESS WAY [TEXT]: start a peer. With a port 0,
// $NAME is the port. Ways:
//
//	say TEXT   read to the end, say TEXT (or the file of that name), close
//	once TEXT  read once, as the original does over TLS
//	reset TEXT say TEXT, then reset
//	silent     never answer
//	redirect HOST   always REDIRECT=HOST
func (ps *peers) serve(ts *testscript.TestScript, neg bool, args []string) {
	useTLS := args[0] == "-tls"
	if useTLS {
		args = args[1:]
	}
	name, network, address, how := args[0], args[1], args[2], args[3]
	text := ""
	if len(args) > 4 {
		text = args[4]
		if _, err := os.Stat(ts.MkAbs(text)); err == nil {
			text = ts.ReadFile(text)
		} else if text != "" && how != "redirect" {
			text += "\n"
		}
	}
	p := &peer{name: name}
	p.done, p.end = context.WithCancel(context.Background())
	switch network {
	case "udp":
		p.datagrams(ts, address, text)
	default:
		p.listen(ts, network, address, wayOf(ts, how, text), tlsConfig(ts, useTLS))
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all[ts.Getenv("WORK")] = append(ps.all[ts.Getenv("WORK")], p)
}

func wayOf(ts *testscript.TestScript, how, text string) way {
	say := func(_ *peer, c net.Conn, _ string) { io.WriteString(c, text) }
	switch how {
	case "say", "once":
		return say
	case "reset":
		return func(p *peer, c net.Conn, req string) {
			say(p, c, req)
			c.(*net.TCPConn).SetLinger(0)
		}
	case "silent":
		return func(p *peer, _ net.Conn, _ string) { <-p.done.Done() }
	case "redirect":
		return func(_ *peer, c net.Conn, _ string) { io.WriteString(c, "REDIRECT="+text+"\n") }
	}
	ts.Fatalf("no way %q", how)
	return nil
}

func (p *peer) listen(ts *testscript.TestScript, network, address string, do way, cfg *tls.Config) {
	if network == "unix" {
		address = ts.MkAbs(address)
	}
	ln, err := net.Listen(network, address)
	ts.Check(err)
	if at, ok := ln.Addr().(*net.TCPAddr); ok {
		ts.Setenv(p.name, strconv.Itoa(at.Port))
	}
	p.close = ln.Close
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.handle(conn, do, cfg) })
		}
	})
}

// handle reads the request as far as such a server can: to its end over TCP and
// unix, one record over TLS.
func (p *peer) handle(c net.Conn, do way, cfg *tls.Config) {
	defer c.Close()
	var req []byte
	if cfg == nil {
		req, _ = io.ReadAll(c)
	} else {
		tag := make([]byte, len(protocol.TLSTag))
		if io.ReadFull(c, tag); string(tag) != protocol.TLSTag {
			return
		}
		secure := tls.Server(c, cfg)
		defer secure.Close()
		buf := make([]byte, protocol.MaxRequest)
		n, err := secure.Read(buf)
		if err != nil {
			return
		}
		req, c = buf[:n], secure
	}
	p.note(string(req))
	do(p, c, string(req))
}

// datagrams answers each request with text; with "" not at all.
func (p *peer) datagrams(ts *testscript.TestScript, address, text string) {
	conn, err := net.ListenPacket("udp", address)
	ts.Check(err)
	ts.Setenv(p.name, strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port))
	p.close = conn.Close
	p.wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			p.note(string(buf[:n]))
			if text != "" {
				conn.WriteTo([]byte(text), from)
			}
		}
	})
}

func (p *peer) note(req string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, req)
}

// saw NAME [REQUEST…]: the peer has had exactly these requests since the last
// saw. A request that is the name of a file is that file's content.
func (ps *peers) saw(ts *testscript.TestScript, neg bool, args []string) {
	var want []string
	for _, a := range args[1:] {
		if _, err := os.Stat(ts.MkAbs(a)); err == nil {
			a = ts.ReadFile(a)
		}
		want = append(want, a)
	}
	p := ps.find(ts, args[0])
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := fmt.Sprintf("%q", p.seen); got != fmt.Sprintf("%q", want) {
		ts.Fatalf("%s saw %s, not %q", p.name, got, want)
	}
	p.seen = nil
}

func (ps *peers) find(ts *testscript.TestScript, name string) *peer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all[ts.Getenv("WORK")] {
		if p.name == name {
			return p
		}
	}
	ts.Fatalf("no server %s", name)
	return nil
}

// stop ends the peers of a script.
func (ps *peers) stop(work string) {
	ps.mu.Lock()
	mine := ps.all[work]
	delete(ps.all, work)
	ps.mu.Unlock()
	for _, p := range mine {
		p.end()
		p.close()
		p.wg.Wait()
	}
}
