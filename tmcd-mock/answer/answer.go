// Package answer is what tmcd says: given a testbed, who asks and what, the
// reply, or the reason why there is none.
//
//	res := answer.Answer(tb, answer.Query{Source: addr, Transport: answer.TCP, Request: req})
//	if res.Why != "" { log.Info("refused", "why", res.Why) }
//	conn.Write(res.Reply)
//
// A request goes one way, a file a step: identify.go finds the node that asks
// (docs/spec/protocol.md §3), check.go refuses what it may not ask (§4),
// dispatch.go runs the command, of which each family has a file (§5, §6); all
// find their rows by way of rows.go. What a command changes comes back as values
// ([testbed.Change], [Report]); Answer applies the changes before it returns.
// Nothing here moves bytes over a network, sleeps, or keeps state of its own,
// and nothing here trusts what a request says beyond the checks.
//
// Where the original crashed or sent memory (§8) the answer is the one that
// its authors meant; docs/deviations.md lists those.
package answer

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// Transport is how a request came.
type Transport string

// The transports.
const (
	TCP Transport = "tcp"
	TLS Transport = "tls" // TCP with the tag and a client certificate
	UDP Transport = "udp"
)

// Query is a request and who sent it.
type Query struct {
	Source    netip.Addr
	Transport Transport
	Request   protocol.Request
	Peer      []byte    // over TLS the client's certificate (DER)
	Now       time.Time // of the request; zero: now
	Rand      io.Reader // for salts and keys; nil: crypto/rand
}

// Report is something that a node told about itself, for whoever keeps it.
type Report struct {
	Node string
	Kind string // the command: state, bootlog, hostkeys, …
	Text string // the command's arguments, byte for byte up to a NUL
}

// Pause is a wait in the middle of a reply: so long, before byte At is sent.
type Pause struct {
	At  int
	For time.Duration
}

// Result is what comes of a request.
type Result struct {
	Reply  []byte  // may be empty; over UDP no datagram is sent then
	Pauses []Pause // where the reply waits, for tmcctest; usually none
	Why    string  // not empty: refused, and Reply is empty
	Node   string  // who was answered for, "" if unknown
	Host   string  // the physical node that carries it

	Reports []Report
	Changes []testbed.Change // applied already
}

// Answer runs a request and applies what it changes. Any number may run at once.
func Answer(tb *testbed.Testbed, q Query) Result {
	res := run(tb, q, func(c *call) { c.command(q.Request.Command) })
	tb.Apply(res.Changes)
	return res
}

// Admit makes the checks that come before a command runs, and runs nothing:
// tmcd does them before it reads the rest of a request.
func Admit(tb *testbed.Testbed, q Query) Result {
	return run(tb, q, func(*call) {})
}

// HostOf names the node that has an address as its control address, or "".
func HostOf(tb *testbed.Testbed, addr netip.Addr) (id string) {
	tb.Read(func(db *testbed.DB) { id = nodeByAddr(db, addr.Unmap().String()).Text("node_id") })
	return id
}

func run(tb *testbed.Testbed, q Query, f func(*call)) (res Result) {
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	if q.Rand == nil {
		q.Rand = rand.Reader
	}
	tb.Read(func(db *testbed.DB) {
		who, why := identify(db, q)
		res.Node, res.Host = who.id, cmp.Or(who.node.Text("phys_nodeid"), who.id)
		if why == "" {
			why = check(db, who, q)
		}
		if res.Why = why; why != "" {
			return
		}
		args, _, _ := bytes.Cut(q.Request.Args, []byte{0}) // to tmcd a request is a string of C's
		c := &call{db: db, site: &db.Site, q: q, who: who, version: q.Request.EffectiveVersion(), args: string(args)}
		f(c)
		res.Reply, res.Pauses, res.Why = c.out, c.pauses, c.why
		res.Reports, res.Changes = c.reports, c.changes
	})
	if res.Why != "" {
		res.Reply = nil
	}
	return res
}

// call is one command being answered.
type call struct {
	db       *testbed.DB
	site     *testbed.Site
	q        Query
	who      asker
	version  int
	args     string
	handlers []handler // once they were needed

	out     []byte
	pauses  []Pause
	why     string
	reports []Report
	changes []testbed.Change
}

// reply appends a typed reply.
func (c *call) reply(r protocol.Reply) { c.out = r.Append(c.out, c.version) }

// linef appends a line.
func (c *call) linef(format string, args ...any) {
	c.out = fmt.Appendf(c.out, format, args...)
	c.out = append(c.out, '\n')
}

// refuse notes why a command says nothing, where saying nothing is a refusal.
func (c *call) refuse(format string, args ...any) { c.why = fmt.Sprintf(format, args...) }

func (c *call) change(ch testbed.Change) { c.changes = append(c.changes, ch) }

// report hands on what the node says about itself.
func (c *call) report(kind, text string) {
	c.reports = append(c.reports, Report{Node: c.who.id, Kind: kind, Text: text})
}

// now is the time as the database writes it.
func (c *call) now() string { return c.q.Now.UTC().Format("2006-01-02 15:04:05") }

// random gives n bytes.
func (c *call) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.q.Rand, b); err != nil {
		clear(b) // a source that ends early is a test's; the rest is zero
	}
	return b
}
