package server

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// accept takes connections until the listener is closed. A passing error (no descriptors left) is
// waited out, 5 ms at first, doubling to 1 s.
func (s *Server) accept(l *net.TCPListener) {
	pause := 5 * time.Millisecond
	for {
		c, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.o.Logger.Warn("cannot accept a connection", "error", err, "wait", pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
				return
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		s.admit(c)
	}
}

// admit hands the connection to a goroutine, or resets it: too many, or down on demand.
func (s *Server) admit(c *net.TCPConn) {
	peer := unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort())
	if why := s.enter(c, peer.Addr()); why != "" {
		s.reject(c, peer, why)
		return
	}
	v := guest{c, peer, time.Now()}
	select {
	case s.guests <- v:
	default: // nobody is free
		s.work.Go(func() { s.worker(v) })
	}
}

// guest is a connection that was let in.
type guest struct {
	conn  *net.TCPConn
	peer  netip.AddrPort
	begun time.Time
}

// idleWorker is how long a goroutine waits for its next connection.
const idleWorker = time.Second

// worker serves one connection after the other. A goroutine with the stack that it has grown costs less
// than a new one for each: a tenth of a request's time.
func (s *Server) worker(v guest) {
	t := time.NewTimer(idleWorker)
	defer t.Stop()
	for {
		s.serve(v)
		t.Reset(idleWorker)
		select {
		case v = <-s.guests:
		case <-t.C:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Server) serve(v guest) {
	defer s.leave(v.conn, v.peer.Addr())
	x := &exchange{s: s, conn: v.conn, peer: v.peer, source: v.peer.Addr(), transport: answer.TCP, begun: v.begun}
	x.run()
}

// enter counts the connection in. It returns why it can't.
func (s *Server) enter(c net.Conn, from netip.Addr) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed.Load():
		return "shutting down"
	case len(s.conns) >= s.o.Limits.Conns:
		return "too many connections"
	case s.source[from] >= s.o.Limits.PerSource:
		return "too many connections from this address"
	}
	s.conns[c] = true
	s.source[from]++
	s.o.Metrics.connections.Inc()
	return ""
}

func (s *Server) leave(c net.Conn, from netip.Addr) {
	_ = c.Close() // a second time after most exchanges
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.source[from]--; s.source[from] == 0 {
		delete(s.source, from)
	}
	s.o.Metrics.connections.Dec()
}

// reject resets a connection that isn't served.
func (s *Server) reject(c *net.TCPConn, peer netip.AddrPort, why string) {
	reset(c)
	s.o.Metrics.rejected.Inc()
	s.o.Logger.Warn("connection rejected", "source", peer.Addr(), "why", why)
}

// reset closes c with a RST, so that the client can't take the end for an answer's.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // fails on a connection that is gone, which is what we want
	_ = c.Close()
}

// early decides on trouble before anything is read.
func (s *Server) early(source netip.Addr, t answer.Transport) []fault.Trouble {
	if s.o.Faults.Idle() {
		return nil
	}
	a := fault.Ask{Early: true, Transport: string(t)}
	if s.o.Host != nil {
		a.Host = s.o.Host(source)
	}
	return s.o.Faults.For(a, time.Now())
}

// record tells journal, metrics and log of an exchange, once, when it is over.
func (s *Server) record(r store.Request, node string, begun time.Time) {
	took := time.Since(begun)
	r.Seconds = took.Seconds()
	s.o.Journal.Add(store.Event{Time: begun, Kind: store.RequestEvent, Node: node, Request: &r})
	s.o.Metrics.observe(r, took)
	if !s.o.Logger.Enabled(s.ctx, slog.LevelInfo) {
		return
	}
	attrs := []any{"source", r.Source, "transport", r.Transport, "vnode", node, "host", r.Host, "as", r.As,
		"version", r.Version, "command", r.Command, "outcome", r.Outcome, "sent", r.Sent}
	if r.Why != "" {
		attrs = append(attrs, "why", r.Why.Escaped(false))
	}
	if r.Fault != "" {
		attrs = append(attrs, "fault", r.Fault)
	}
	s.o.Logger.Info("request", attrs...)
}
