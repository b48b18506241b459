// Package conformance holds any running tmcd against the protocol: a row for each
// rule of docs/spec/protocol.md, the original's own server included.
//
//	t := conformance.Target{Addr: netip.MustParseAddrPort("127.0.0.1:7777"), VNode: "pcvm1-1"}
//	sum := conformance.Run(ctx, t, conformance.Options{}, func(r conformance.Result) { fmt.Println(r) })
//	if sum.Failed > 0 { … }
//
// A Row's id is the section of the specification and a number that no other rule
// ever gets: "2/3". A row passes, fails, or is not run, with the reason: it needs
// to be told who asks (Target), it would write (Options.Write), or the testbed has
// nothing to judge it by. A rule that wants silence is judged only where the same
// request without the fault is answered, so a dead server passes no row.
//
// Files: conformance.go rows, results, the run; probe.go one exchange; check.go how
// rules are written; then a file of rows per section: framing, tls, udp, grammar,
// identity, order, proxied, formats, versions, fullconfig, writes, strict. report.go
// prints results as text, JSON and JUnit, list.go the rows as a page.
//
// Without Options.Write nothing is sent that changes the server: probe.go refuses
// such a request whoever wrote the row. The package dials and trusts no answer;
// each row is bounded in time, each reply in size.
package conformance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Row is one rule of the specification.
type Row struct {
	ID     string // section and number, as "2/3"; it stays
	Rule   string // what must hold
	Strict bool   // not a promise of the original's: see Options.Strict
	check  check
}

// Needs are what must be given for the row to run.
func (r Row) Needs() Needs { return r.check.needs }

// Rows returns all rows, by section.
func Rows() []Row {
	return slices.Concat(framingRows(), tlsRows(), udpRows(), grammarRows(), identityRows(), orderRows(),
		proxiedRows(), formatRows(), versionRows(), fullconfigRows(), writeRows(), strictRows())
}

// Target is the tmcd to hold against the suite, and those who ask it. Only Addr is
// needed; rows that need more are not run. Each address must be one that this
// machine can send from.
type Target struct {
	Addr     netip.AddrPort
	Source   netip.Addr   // of the host that asks; invalid: as the system chooses
	Node     string       // that host's id; "": as nodeid answers
	VNode    string       // a vnode on it; "": the first of vnodelist
	Sibling  string       // another vnode on it; "": the second of vnodelist
	Foreign  string       // a vnode of another host
	Remote   netip.Addr   // of a remote host, in an experiment
	Free     netip.Addr   // of a host in no experiment
	Stranger netip.Addr   // of no node
	Also     []netip.Addr // of further hosts, asked where the first has nothing to say
	PrivKey  string       // of a remote host
	TLS      *Credentials // nil: no TLS
}

// Credentials are a client's half of TLS.
type Credentials struct {
	Certificate tls.Certificate
	CA          *x509.CertPool // that signed the server's certificate
}

// Options say which rows run, and how.
type Options struct {
	Write   bool          // also rows that change what the server holds
	Strict  bool          // also what the original merely tolerates, or fails at itself
	Only    []string      // ids, or beginnings of ids such as "2/"; none: all
	Timeout time.Duration // of a row; 0: 15 s
	Jobs    int           // rows that only read, at once; 0: 4
}

// DefaultTimeout bounds a row. The slowest waits twice for the original's 3 s.
const DefaultTimeout = 15 * time.Second

// Picks reports whether the options choose the row.
func (o Options) Picks(r Row) bool {
	if r.Strict && !o.Strict {
		return false
	}
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(only string) bool {
		return r.ID == only || strings.HasSuffix(only, "/") && strings.HasPrefix(r.ID, only)
	})
}

// Outcome is what came of a row.
type Outcome string

// The outcomes.
const (
	Passed Outcome = "passed"
	Failed Outcome = "failed"
	NotRun Outcome = "not run" // it can't be judged: Why says what is missing
)

// Result is a row with what came of it.
type Result struct {
	Row     Row
	Outcome Outcome
	Why     string // of Failed and NotRun
	Took    time.Duration
}

// Summary counts results.
type Summary struct{ Passed, Failed, NotRun int }

// Run holds the server against each row that the options pick and reports each
// result, in the order of Rows. Rows that write run alone, after all others. A
// context that ends makes the rest fail.
func Run(ctx context.Context, t Target, o Options, report func(Result)) Summary {
	s := &suite{target: t, options: o}
	if o.Timeout == 0 {
		s.options.Timeout = DefaultTimeout
	}
	if o.Jobs == 0 {
		s.options.Jobs = 4
	}
	s.discover(ctx)
	var sum Summary
	s.each(ctx, func(r Result) {
		switch r.Outcome {
		case Passed:
			sum.Passed++
		case Failed:
			sum.Failed++
		case NotRun:
			sum.NotRun++
		}
		report(r)
	})
	return sum
}

// suite is one run.
type suite struct {
	target  Target
	options Options
}

// each runs the rows and hands on their results in order.
func (s *suite) each(ctx context.Context, report func(Result)) {
	var rows []Row
	for _, r := range Rows() {
		if s.options.Picks(r) {
			rows = append(rows, r)
		}
	}
	results := make([]chan Result, len(rows))
	reading := make(chan int)
	var readers sync.WaitGroup
	for i := range rows {
		results[i] = make(chan Result, 1)
	}
	for range s.options.Jobs {
		readers.Go(func() {
			for i := range reading {
				results[i] <- s.one(ctx, rows[i])
			}
		})
	}
	var all sync.WaitGroup
	all.Go(func() {
		for i, r := range rows {
			if !r.Needs().Has(NeedWrite) {
				reading <- i
			}
		}
		close(reading)
		readers.Wait()
		for i, r := range rows {
			if r.Needs().Has(NeedWrite) {
				results[i] <- s.one(ctx, r)
			}
		}
	})
	for _, c := range results {
		report(<-c)
	}
	all.Wait()
}

// one runs a row within its time.
func (s *suite) one(ctx context.Context, r Row) Result {
	begun := time.Now()
	if missing := r.Needs() &^ s.given(); missing != 0 {
		return Result{Row: r, Outcome: NotRun, Why: "needs " + missing.String()}
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	p := &probe{ctx: ctx, t: &s.target, mayWrite: s.options.Write}
	err := r.check.run(p)
	result := Result{Row: r, Outcome: Passed, Took: time.Since(begun)}
	var missing missingError
	switch {
	case errors.As(err, &missing):
		result.Outcome, result.Why = NotRun, p.fill(err.Error())
	case err != nil:
		result.Outcome, result.Why = Failed, p.fill(err.Error())
	}
	return result
}
