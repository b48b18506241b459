package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// exchange is one request from its first byte to the last of its answer.
type exchange struct {
	s         *Server
	conn      *net.TCPConn
	stream    net.Conn // conn, or TLS on it
	peer      netip.AddrPort
	source    netip.Addr // who asks: peer, unless a PROXY header says otherwise
	transport answer.Transport
	begun     time.Time
	trouble   []fault.Trouble
	entry     store.Request
	node      string
	buf       []byte // protocol.MaxRequest bytes, lent by the server; the request lies in it
}

// errSilent ends an exchange of which nobody needs to hear: a client that came and went.
var errSilent = errors.New("nothing was asked")

// run is the whole road. Every way out closes the connection without a byte, but for the last.
func (x *exchange) run() {
	x.stream = x.conn
	buf := x.s.bufs.Get().(*[protocol.MaxRequest]byte)
	defer x.s.bufs.Put(buf) // nothing of the request is kept: arguments that are kept are copied
	x.buf = buf[:]
	x.trouble = x.s.early(x.source, answer.TCP)
	if x.has(fault.Down) {
		reset(x.conn)
		x.end(store.Refused, "down on demand")
		return
	}
	request, err := x.receive()
	if errors.Is(err, errSilent) {
		return
	}
	if err != nil {
		x.end(store.Refused, err.Error())
		return
	}
	x.answer(request)
}

// receive reads the request and checks what can be checked before its end.
func (x *exchange) receive() (protocol.Request, error) {
	limit := x.begun.Add(x.s.o.Limits.Request)
	if err := x.conn.SetReadDeadline(x.begun.Add(x.s.o.Limits.Idle)); err != nil {
		return protocol.Request{}, err
	}
	head, err := x.head()
	if err != nil {
		return protocol.Request{}, err
	}
	n := copy(x.buf, head)
	if isTag(head) {
		if err := x.handshake(limit); err != nil {
			return protocol.Request{}, err
		}
		n, err = x.stream.Read(x.buf[:protocol.MaxRequestTLS]) // one record, as the original calls SSL_read once
	} else {
		n, err = readBuffered(x.conn, x.buf, n)
	}
	if err != nil && n == 0 {
		return protocol.Request{}, quiet(err)
	}
	x.entry.Received = n
	request, err := protocol.ParseRequest(x.buf[:n:n])
	x.describe(request, err)
	if err != nil {
		return request, errors.New(redact(err.Error()))
	}
	if err := x.admitted(request); err != nil {
		return request, err
	}
	if x.transport == answer.TLS || request.EffectiveVersion() < firstToReadOn {
		return request, nil
	}
	all, err := readRest(x.conn, x.buf, n, x.s.o.Limits.Idle, limit)
	if err != nil {
		return request, err
	}
	x.entry.Received = all
	return extend(request, x.buf[:all], n), nil
}

// firstToReadOn is the version from which tmcd reads a request to its end.
const firstToReadOn = 22

// head reads the first bytes, behind a PROXY header if there is one.
func (x *exchange) head() ([]byte, error) {
	head, err := readHead(x.conn, nil)
	if err != nil {
		return nil, quiet(err)
	}
	return x.proxied(head)
}

// extend adds to the arguments what came after the first chunk of n bytes. Only that chunk is looked at for
// tags and command; what follows is argument, even where the chunk ended before the space.
func extend(r protocol.Request, all []byte, n int) protocol.Request {
	start := n - len(r.Args)
	if !r.HasArgs {
		if len(all) == n || all[n] != ' ' {
			return r
		}
		start = n + 1
	}
	r.HasArgs, r.Args = true, all[start:]
	return r
}

// quiet turns the errors of a client that came and went into errSilent.
func quiet(err error) error {
	switch {
	case err == io.EOF:
		return errSilent
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the client sent nothing")
	}
	return fmt.Errorf("read the request: %w", err)
}

// admitted asks Options.Admit.
func (x *exchange) admitted(r protocol.Request) error {
	if x.s.o.Admit == nil {
		return nil
	}
	v := x.s.o.Admit(x.query(r))
	x.node, x.entry.Host = v.Node, v.Host
	if v.Why != "" {
		return errors.New(v.Why)
	}
	return nil
}

func (x *exchange) query(r protocol.Request) answer.Query {
	q := answer.Query{Source: x.source, Transport: x.transport, Request: r}
	if c, ok := x.stream.(*tls.Conn); ok {
		if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
			q.Peer = certs[0].Raw // its own, before those of its CA
		}
	}
	return q
}

// answer lets the command run, unless trouble comes first, and sends what it says.
func (x *exchange) answer(r protocol.Request) {
	ask := fault.Ask{Command: r.Command, Node: x.node, Host: x.entry.Host, Transport: string(x.transport)}
	x.trouble = append(x.trouble, x.s.o.Faults.For(ask, time.Now())...)
	if x.instead() {
		return
	}
	v := x.s.o.Answer(x.query(r))
	x.node, x.entry.Host = v.Node, v.Host
	if v.Why != "" {
		x.end(store.Refused, v.Why)
		return
	}
	x.reply(v.Reply, v.Pauses)
}

// describe notes what the journal says of a request and of what parsing it says. No argument, no key.
func (x *exchange) describe(r protocol.Request, err error) {
	x.entry.Unknown = errors.Is(err, protocol.ErrUnknownCommand)
	x.entry.Version = r.EffectiveVersion()
	x.entry.Command = r.Command
	if r.Command == "" {
		x.entry.Command = "?"
	}
	switch {
	case r.AsVNode():
		x.entry.As = "PROXYFOR"
	case r.VNodeID != "":
		x.entry.As = "VNODEID"
	}
}

// end records the exchange. It is called once; the connection is closed by leave.
func (x *exchange) end(outcome store.Outcome, why string) {
	x.entry.Outcome, x.entry.Why = outcome, store.Text(why)
	x.entry.Source, x.entry.Transport = x.source.String(), string(x.transport)
	for i, t := range x.trouble {
		x.s.o.Metrics.fault(string(t.Rule.Kind))
		if i > 0 {
			x.entry.Fault += ","
		}
		x.entry.Fault += string(t.Rule.Kind)
	}
	if x.entry.Command == "" {
		x.entry.Command = "?"
	}
	x.s.record(x.entry, x.node, x.begun)
}

// redact keeps what a broken tag or word may hold, a key for one, out of log and journal.
func redact(message string) string {
	before, _, found := strings.Cut(message, "=")
	if !found {
		return message
	}
	return before + "=…"
}
