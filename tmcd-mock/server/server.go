// Package server moves the bytes of tmcd: TCP, UDP and TLS on one port.
//
// A connection's road, a file a step:
//
//	accept.go    limits; trouble that comes before the first byte
//	proxied.go   a PROXY v2 header, where a balancer is configured: who really asks
//	chunk.go     the first chunk, as the original reads it; a tag leads to tls.go
//	exchange.go  parse → admitted? → the rest of the request → answer → journal
//	reply.go     the answer, with trouble on demand
//	udp.go       the same for a datagram
//
// What it refuses gets silence, as from the original, and a line in the log and the journal that says
// why. Every wait has a deadline, every buffer a bound, every goroutine ends before Close returns.
// It holds no opinion on requests: Options.Admit and Options.Answer have that, and trust nothing of
// what is handed to them but the source address and the transport.
//
// Specification: protocol.md §1 (transport and framing), §4 (order of checks).
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// Options say where and how to serve. Listen and Answer are needed.
type Options struct {
	Listen []netip.AddrPort // see CheckListen; port 0: the kernel chooses, the same for TCP and UDP

	// Admit makes the checks that come before the rest of a request is read; nil admits all.
	Admit func(answer.Query) answer.Result
	// Answer runs the command. It makes all checks again. Either keeps nothing of the request's
	// Args, which lie in a buffer that is used again.
	Answer func(answer.Query) answer.Result
	// Host names the host with an address, or returns "".
	Host func(netip.Addr) string

	// TLS gives the configuration for the next handshake; nil, or a nil result: the tag is refused.
	TLS func() *tls.Config

	Proxied   bool           // a host may send a PROXY v2 header with its own address
	Balancers []netip.Prefix // these may send one with any address

	Faults  *fault.Set     // nil: none
	Journal *store.Journal // nil: one of its own
	Metrics *Metrics       // nil: one of its own
	Logger  *slog.Logger   // nil: discarded

	Limits Limits
}

// Limits bound what clients can make the server hold. A field that is 0 has its default.
type Limits struct {
	Idle      time.Duration // silence of a client while its request is read. 3 s, the original's READTIMO
	Request   time.Duration // a whole request, handshake included. 30 s
	Write     time.Duration // for each 64 KiB of an answer. 10 s
	Conns     int           // connections at once. 1024
	PerSource int           // of these from one address. 512
	Datagrams int           // datagrams worked on at once; more are dropped. 256
}

func (l Limits) withDefaults() Limits {
	def := Limits{Idle: 3 * time.Second, Request: 30 * time.Second, Write: 10 * time.Second, Conns: 1024, PerSource: 512, Datagrams: 256}
	if l.Idle == 0 {
		l.Idle = def.Idle
	}
	if l.Request == 0 {
		l.Request = def.Request
	}
	if l.Write == 0 {
		l.Write = def.Write
	}
	if l.Conns == 0 {
		l.Conns = def.Conns
	}
	if l.PerSource == 0 {
		l.PerSource = def.PerSource
	}
	if l.Datagrams == 0 {
		l.Datagrams = def.Datagrams
	}
	return l
}

// Server is a running tmcd. Make one with Start.
type Server struct {
	o      Options
	tcp    []*net.TCPListener
	udp    []*net.UDPConn
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	work   sync.WaitGroup
	udpN   chan struct{} // a place for each datagram under way
	cert   func() *tls.Config
	guests chan guest // taken by a worker that is free
	bufs   sync.Pool  // of *[protocol.MaxRequest]byte

	mu     sync.Mutex
	conns  map[net.Conn]bool
	source map[netip.Addr]int
	closed atomic.Bool
}

// Start opens every address and serves until Close. Nothing is left open when it fails.
func Start(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Journal == nil {
		o.Journal = store.NewJournal()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Faults == nil {
		o.Faults = fault.NewSet(0)
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{o: o, udpN: make(chan struct{}, o.Limits.Datagrams), guests: make(chan guest),
		conns: map[net.Conn]bool{}, source: map[netip.Addr]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.bufs.New = func() any { return new([protocol.MaxRequest]byte) }
	s.cert = sync.OnceValue(strangersCertificate)
	for _, addr := range o.Listen {
		if err := s.listen(addr); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	for _, l := range s.tcp {
		s.work.Go(func() { s.accept(l) })
	}
	for _, c := range s.udp {
		s.work.Go(func() { s.datagrams(c) })
	}
	return s, nil
}

// listen opens TCP and UDP on one port.
func (s *Server) listen(addr netip.AddrPort) error {
	const tries = 10 // with port 0, TCP's port may be taken for UDP
	for i := 1; ; i++ {
		// No keep-alive: every wait has a deadline, and setting it up costs four system calls a connection.
		tcp, err := (&net.ListenConfig{KeepAlive: -1}).Listen(s.ctx, "tcp", addr.String())
		if err != nil {
			return fmt.Errorf("listen on %v: %w", addr, err)
		}
		l := tcp.(*net.TCPListener)
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(l.Addr().(*net.TCPAddr).AddrPort()))
		if err == nil {
			s.tcp, s.udp = append(s.tcp, l), append(s.udp, c)
			return nil
		}
		err = errors.Join(err, l.Close())
		if addr.Port() != 0 || i == tries {
			return fmt.Errorf("listen on %v: %w", addr, err)
		}
	}
}

// Addrs returns the addresses that are served, in the order of Options.Listen.
func (s *Server) Addrs() []netip.AddrPort {
	var list []netip.AddrPort
	for _, l := range s.tcp {
		list = append(list, unmap(l.Addr().(*net.TCPAddr).AddrPort()))
	}
	return list
}

// Close stops serving: no new requests, those under way are cut off. It returns when all is closed.
func (s *Server) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.stop()
	var errs []error
	for _, l := range s.tcp {
		errs = append(errs, l.Close())
	}
	for _, c := range s.udp {
		errs = append(errs, c.Close())
	}
	s.mu.Lock()
	for c := range s.conns {
		// Each is closed again by its own goroutine, hence no error to report.
		_ = c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	return errors.Join(errs...)
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
