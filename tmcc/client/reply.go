package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"emujail/protocol"
)

const (
	redirectTag  = "REDIRECT="
	maxRedirect  = 512   // bytes of a redirect line
	maxDatagram  = 65535 // bytes; a tmcd sends up to protocol.MaxUDPReply
	firstChunk   = 4 << 10
	replyChunk   = 32 << 10
	maxHostBytes = 255
)

// A redirect is what a reply REDIRECT=host[:vnode] says.
type redirect struct{ host, vnode string }

// receive copies the reply to x.out, unless its first bytes are a redirect.
func (x exchange) receive(conn net.Conn) (*redirect, error) {
	if x.c.opts.Network == UDP {
		return x.receiveDatagram(conn)
	}
	tail := &lastByte{r: conn, progress: x.progress}
	var head []byte
	if x.c.opts.Network != Unix { // the proxy has followed redirects already
		var err error
		if head, err = readHead(tail); err != nil {
			return nil, tail.ended(err)
		}
		if bytes.HasPrefix(head, []byte(redirectTag)) {
			return parseRedirect(head)
		}
	}
	head, end := tail.readNow(head)
	if err := output(x.out, head); err != nil {
		return nil, err
	}
	if end != nil {
		return nil, tail.ended(end)
	}
	return nil, x.copyRest(tail)
}

func (x exchange) copyRest(tail *lastByte) error {
	buf := make([]byte, firstChunk) // most replies need no more
	for {
		n, err := tail.Read(buf)
		if werr := output(x.out, buf[:n]); werr != nil {
			return werr
		}
		if err != nil {
			return tail.ended(err)
		}
		if n == len(buf) && n == firstChunk {
			buf = make([]byte, replyChunk)
		}
	}
}

func (x exchange) receiveDatagram(conn net.Conn) (*redirect, error) {
	buf := make([]byte, maxDatagram)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, bare(err)
	}
	x.progress()
	if bytes.HasPrefix(buf[:n], []byte(redirectTag)) {
		return parseRedirect(buf[:n])
	}
	return nil, output(x.out, buf[:n])
}

// output hands p to the caller's writer; its failure is not the exchange's.
func output(w io.Writer, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := w.Write(p); err != nil {
		return &outputError{fmt.Errorf("write the reply: %w", err)}
	}
	return nil
}

// readHead reads until it is clear whether the reply is a redirect and, if it
// is one, to the end of its line. At the reply's end err is nil.
func readHead(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, maxRedirect)
	for len(buf) < cap(buf) {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil || headComplete(buf) {
			return buf, notEOF(err)
		}
	}
	return buf, nil
}

func headComplete(b []byte) bool {
	if len(b) < len(redirectTag) {
		return !strings.HasPrefix(redirectTag, string(b))
	}
	return !bytes.HasPrefix(b, []byte(redirectTag)) || bytes.IndexByte(b, '\n') >= 0
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// lastByte counts what came and remembers its last byte, to tell how a reply
// ended.
type lastByte struct {
	r        io.Reader
	progress func()
	any      bool
	last     byte
}

func (t *lastByte) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.progress()
		t.any, t.last = true, p[n-1]
	}
	return n, err
}

// readNow adds to p what is here already, as far as there is room: a short reply
// comes with its end, and whoever it is for is woken once. The error, if there is
// one, is how the reply ended: it is told once.
func (t *lastByte) readNow(p []byte) ([]byte, error) {
	r, ok := t.r.(interface{ readNow([]byte) (int, error) })
	if !ok || len(p) == 0 || len(p) == cap(p) {
		return p, nil
	}
	n, err := r.readNow(p[len(p):cap(p)])
	if n > 0 {
		p = p[:len(p)+n]
		t.any, t.last = true, p[len(p)-1]
	}
	if err == syscall.EAGAIN {
		err = nil
	}
	return p, err
}

// ended says whether a reply that ended with err is whole. A TLS server should
// take its leave; one that just closes is believed after a complete line, as
// the original client believed it.
func (t *lastByte) ended(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) && t.any && t.last == '\n':
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCut
	}
	return bare(err)
}

// parseRedirect reads REDIRECT=host[:vnode] up to the end of its line.
func parseRedirect(line []byte) (*redirect, error) {
	if len(line) >= maxRedirect && bytes.IndexByte(line, '\n') < 0 {
		return nil, fmt.Errorf("%w: line of more than %d bytes", ErrRedirect, maxRedirect)
	}
	text, _, _ := strings.Cut(string(line[len(redirectTag):]), "\n")
	host, vnode, _ := strings.Cut(text, ":")
	if !isWord(host, maxHostBytes, "-._") || (vnode != "" && !isWord(vnode, protocol.MaxNodeID, "-_")) {
		return nil, fmt.Errorf("%w: malformed: %q", ErrRedirect, text)
	}
	return &redirect{host, vnode}, nil
}

// isWord reports whether s has 1 to limit letters, digits and bytes of extra.
func isWord(s string, limit int, extra string) bool {
	for _, c := range []byte(s) {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alnum && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

// follow turns a redirect into the next server and request. A jail can make
// tmcd begin a reply with words of its own (a variable of userenv named
// REDIRECT), so one that speaks for a vnode by ProxyFor never becomes another.
func (c *Client) follow(ctx context.Context, to redirect, req protocol.Request) ([]Server, protocol.Request, error) {
	if to.vnode != "" && req.ProxyFor != "" && to.vnode != req.ProxyFor {
		return nil, req, fmt.Errorf("%w: to another vnode, %s", ErrRedirect, to.vnode)
	}
	find := c.opts.Redirect
	if find == nil {
		find = c.known
	}
	server, err := find(ctx, to.host)
	if err != nil {
		return nil, req, fmt.Errorf("%w: to %s: %w", ErrRedirect, to.host, err)
	}
	if to.vnode != "" && req.ProxyFor == "" {
		req.VNodeID = to.vnode
	}
	c.log.DebugContext(ctx, "redirected", "to", to.host, "vnode", to.vnode)
	return []Server{server}, req, nil
}

// known finds host among the servers that the Client was made with.
func (c *Client) known(_ context.Context, host string) (Server, error) {
	addr, _ := netip.ParseAddr(host)
	for _, s := range c.opts.Servers {
		if strings.EqualFold(s.Name, host) {
			return s, nil
		}
		for _, a := range s.Addrs {
			if a == addr {
				return Server{Name: s.Name, Addrs: []netip.Addr{a}, Ports: s.Ports}, nil
			}
		}
	}
	return Server{}, errors.New("no server of that name or address is known")
}
