package conformance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"emujail/protocol"
)

const (
	maxReply = 16 << 20               // bytes of a reply that are read
	silence  = 500 * time.Millisecond // without a datagram, where none is wanted: there is none
	patience = 5 * time.Second        // the same where one is wanted: a busy server is late
)

// who sends a request.
type who int

const (
	asHost who = iota
	asRemote
	asFree
	asStranger
)

// way is how it is sent.
type way string

const (
	tcp    way = "TCP"
	overTL way = "TLS"
	udp    way = "UDP"
)

// question is a request, who sends it, and how. {node}, {vnode}, {sibling},
// {foreign} and {privkey} in its text stand for what the target gives.
type question struct {
	who  who
	from netip.Addr // instead of who's address, if valid
	way  way
	text string
	mute bool // no answer is wanted: over UDP it is waited for only shortly
}

func host(text string) question        { return question{way: tcp, text: text} }
func (q question) by(w who) question   { q.who = w; return q }
func (q question) over(w way) question { q.way = w; return q }

// String names the request in a message.
func (q question) String() string {
	text := q.text
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	from := [...]string{"", " from the remote host", " from the free host", " from a stranger"}[q.who]
	return fmt.Sprintf("%q over %s%s", text, q.way, from)
}

// probe is what a row asks with.
type probe struct {
	ctx      context.Context
	t        *Target
	mayWrite bool
}

// step is a piece of a request and the pause after it.
type step struct {
	send string
	wait time.Duration
}

// said is what came back.
type said struct {
	text  string
	reset bool          // the connection was reset, not closed
	took  time.Duration // from the last piece sent to the end
}

// ask sends a whole request and gives the reply; none is "".
func (p *probe) ask(q question) (string, error) {
	s, err := p.converse(q, false, step{send: q.text})
	return s.text, err
}

// converse sends a request in pieces, each one write. Over TCP the writing side is
// closed afterwards unless open. A reset is no error.
func (p *probe) converse(q question, open bool, steps ...step) (said, error) {
	if err := p.harmless(steps); err != nil {
		return said{}, err
	}
	if q.way == udp {
		return p.datagram(q)
	}
	raw, err := p.dial(q)
	if err != nil {
		return said{}, err
	}
	defer raw.Close()
	conn := net.Conn(raw)
	if q.way == overTL {
		if conn, err = p.handshake(raw, p.clientTLS()); err != nil {
			return said{}, fmt.Errorf("%v: %w", q, err)
		}
	}
	for _, s := range steps {
		if s.send != "" {
			if _, err := io.WriteString(conn, p.fill(s.send)); err != nil && !gone(err) {
				return said{}, fmt.Errorf("%v: %w", q, err)
			}
		}
		if err := p.pause(s.wait); err != nil {
			return said{}, err
		}
	}
	sent := time.Now()
	if !open && conn == net.Conn(raw) {
		if err := raw.CloseWrite(); err != nil && !gone(err) {
			return said{}, fmt.Errorf("%v: %w", q, err)
		}
	}
	s, err := p.hear(conn)
	s.took = time.Since(sent)
	if err != nil {
		return s, fmt.Errorf("%v: %w", q, err)
	}
	return s, nil
}

// dial opens a TCP connection whose every read and write ends with the row.
func (p *probe) dial(q question) (*net.TCPConn, error) {
	d := net.Dialer{}
	if from := p.from(q); from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.DialContext(p.ctx, "tcp", p.t.Addr.String())
	if err != nil {
		return nil, err
	}
	deadline, _ := p.ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c.(*net.TCPConn), nil
}

// hear reads until the end.
func (p *probe) hear(c net.Conn) (said, error) {
	b, err := io.ReadAll(io.LimitReader(c, maxReply))
	s := said{text: string(b)}
	switch {
	case err == nil || errors.Is(err, io.ErrUnexpectedEOF): // TLS without its goodbye
		return s, nil
	case gone(err):
		s.reset = true
		return s, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && len(b) == 0:
		return s, errors.New("no answer and no end in time")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s, fmt.Errorf("no end in time, after %d bytes", len(b))
	}
	return s, err
}

// gone: the other side has closed, with or without a reset.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOTCONN)
}

// datagram asks over UDP. Nothing for a while is an empty reply.
func (p *probe) datagram(q question) (said, error) {
	d := net.Dialer{}
	if from := p.from(q); from.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.DialContext(p.ctx, "udp", p.t.Addr.String())
	if err != nil {
		return said{}, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, p.fill(q.text)); err != nil {
		return said{}, fmt.Errorf("%v: %w", q, err)
	}
	sent := time.Now()
	if err := c.SetReadDeadline(p.until(q, sent)); err != nil {
		return said{}, err
	}
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ECONNREFUSED) {
		return said{}, fmt.Errorf("%v: %w", q, err)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return said{}, fmt.Errorf("%v: nobody listens there", q)
	}
	return said{text: string(b[:n]), took: time.Since(sent)}, nil
}

// until is when a datagram that hasn't come won't come.
func (p *probe) until(q question, sent time.Time) time.Time {
	if q.mute {
		return sent.Add(silence)
	}
	end := sent.Add(patience)
	if row, ok := p.ctx.Deadline(); ok && row.Before(end) {
		return row
	}
	return end
}

// handshake sends the tag and becomes a TLS client. Which name the certificate has
// is a row of its own; here it must be signed by the CA.
func (p *probe) handshake(raw net.Conn, config *tls.Config) (*tls.Conn, error) {
	if _, err := io.WriteString(raw, protocol.TLSTag); err != nil {
		return nil, err
	}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(p.ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return c, nil
}

func (p *probe) clientTLS() *tls.Config {
	ca := p.t.TLS.CA
	return &tls.Config{
		Certificates:                []tls.Certificate{p.t.TLS.Certificate},
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, // a request is one record
		InsecureSkipVerify:          true, // VerifyConnection does it, all but the name
		VerifyConnection: func(s tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: ca, Intermediates: between})
			return err
		},
	}
}

// from is the address that a question is sent from.
func (p *probe) from(q question) netip.Addr {
	if q.from.IsValid() {
		return q.from
	}
	return [...]netip.Addr{p.t.Source, p.t.Remote, p.t.Free, p.t.Stranger}[q.who]
}

// fill puts the target's names in.
func (p *probe) fill(text string) string {
	return strings.NewReplacer("{node}", p.t.Node, "{vnode}", p.t.VNode, "{sibling}", p.t.Sibling,
		"{foreign}", p.t.Foreign, "{privkey}", p.t.PrivKey, "{source}", p.t.Source.String()).Replace(text)
}

// harmless refuses what would change the server, unless that is allowed.
func (p *probe) harmless(steps []step) error {
	if p.mayWrite {
		return nil
	}
	var all string
	for _, s := range steps {
		all += s.send
	}
	if writes(p.fill(all)) {
		return fmt.Errorf("%.60q would write: the row must say so", all)
	}
	return nil
}

// writes reports whether a request may change what the server holds, or what it
// tells the rest of the testbed. The first word that could be the command counts,
// whatever stands before it: a server that reads a broken request leniently is safe
// as well.
func writes(request string) bool {
	for word := range strings.FieldsSeq(request) {
		c, ok := protocol.Lookup(word)
		if !ok {
			continue
		}
		switch c.Name {
		case "state", "reset", "reboot":
			return true
		}
		return c.Flags.Has(protocol.Writes)
	}
	return false
}

// pause waits within the row's time.
func (p *probe) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}
