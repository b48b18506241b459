package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"emujail/proxy/control"
)

// obey does what the supervisor says until ctx ends, it says drain, or it is
// gone and left no socket for the next one.
func (s *server) obey(ctx context.Context, first *control.Conn) error {
	var next *net.UnixListener
	for conn := first; ; {
		drain, heir, err := s.session(ctx, conn)
		if heir != nil {
			next = heir
		}
		if drain || ctx.Err() != nil || next == nil {
			return errors.Join(err, closeIf(next))
		}
		s.log.Warn("supervisor is gone, waiting for the next one", "cause", err)
		if conn, err = s.successor(ctx, next); err != nil {
			return errors.Join(err, closeIf(next))
		}
	}
}

func closeIf(ln *net.UnixListener) error {
	if ln == nil {
		return nil
	}
	return ln.Close()
}

// successor waits for the next supervisor: root, or this process's own user
// when it never had more rights.
func (s *server) successor(ctx context.Context, ln *net.UnixListener) (*control.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := control.Accept(ln)
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("wait for a supervisor: %w", err)
		}
		peer, err := s.attestor.identify(conn.Socket(), home{})
		s.attestor.release(&peer)
		if err == nil && mayCommand(peer.Peer) {
			return conn, nil
		}
		s.log.Warn("refused a supervisor", "uid", peer.UID, "error", err)
		_ = conn.Close()
	}
}

// A session is the time of one supervisor. Signatures are delivered at once; a
// second goroutine does the rest in order, for some of it waits for requests
// that wait for signatures.
func (s *server) session(ctx context.Context, conn *control.Conn) (drain bool, heir *net.UnixListener, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.boss.Store(conn)
	var rest []order // of a draining proxy: what came behind the word
	defer func() {
		if drain {
			s.linger(conn, rest)
			return
		}
		s.boss.CompareAndSwap(conn, nil)
		_ = conn.Close()
	}()

	orders := make(chan order, 64)
	var worker sync.WaitGroup
	worker.Go(func() {
		for o := range orders {
			if drain {
				rest = append(rest, o)
				continue
			}
			s.execute(conn, o, &drain, &heir)
			if drain {
				cancel()
			}
		}
	})
	err = conn.Send(control.Message{Op: control.OpReady})
	for err == nil {
		var o order
		o.m, o.files, err = conn.Receive(ctx)
		switch {
		case err == nil && o.m.Op == control.OpSignature:
			s.signatures.Deliver(o.m)
			_ = control.CloseFiles(o.files)
		case err == nil:
			orders <- o // also one that came just before ctx ended: it is waited for
		case errors.Is(err, io.EOF), ctx.Err() != nil:
		default:
			s.log.Warn("bad message from the supervisor", "error", err)
			err = conn.Send(control.Message{Op: control.OpError, Error: err.Error()})
		}
	}
	close(orders)
	worker.Wait()
	if drain || errors.Is(err, io.EOF) || ctx.Err() != nil {
		err = nil
	}
	return drain, heir, err
}

// linger goes on to hear the supervisor while the proxy drains, until leave: what
// is under way may need its signatures, and it may take a jail away. The orders
// have come already.
func (s *server) linger(conn *control.Conn, orders []order) {
	hearing, deaf := context.WithCancel(s.life)
	done := make(chan struct{})
	s.leave = func() {
		deaf()
		<-done // what was heard is answered first
		_ = conn.Close()
	}
	go func() {
		defer close(done)
		var closing sync.WaitGroup // apart: a jail's end may wait for a signature that is still to be heard
		defer closing.Wait()
		for {
			var o order
			if len(orders) > 0 {
				o, orders = orders[0], orders[1:]
			} else {
				var err error
				if o.m, o.files, err = conn.Receive(hearing); err != nil {
					return
				}
			}
			switch o.m.Op {
			case control.OpSignature:
				s.signatures.Deliver(o.m)
				_ = control.CloseFiles(o.files)
			case control.OpClose:
				closing.Go(func() { s.execute(conn, o, nil, nil) })
			default:
				_ = control.CloseFiles(o.files)
				_ = conn.Send(control.Message{Op: control.OpError, Re: o.m.Op, Error: "draining"})
			}
		}
	}()
}

// An order is a message with what came along.
type order struct {
	m     control.Message
	files []*os.File
}

// execute does one order and answers it.
func (s *server) execute(conn *control.Conn, o order, drain *bool, heir **net.UnixListener) {
	defer func() { _ = control.CloseFiles(o.files) }() // what was used has a copy
	var err error
	switch o.m.Op {
	case control.OpListen:
		err = s.orderListen(o)
	case control.OpClose:
		err = s.remove(o.m.VNode)
	case control.OpPolicy:
		err = s.orderPolicy(o.m)
	case control.OpTmcd:
		err = s.orderTmcd(o.m)
	case control.OpLimits:
		err = s.orderLimits(o.m)
	case control.OpAudit:
		err = s.orderAudit(o)
	case control.OpControl:
		*heir, err = s.orderControl(o)
	case control.OpCounters:
		err = s.sendCounters(conn)
	case control.OpReturn:
		err = s.sendListeners(conn)
	case control.OpDrain:
		*drain = true
	default:
		err = errors.New("unknown operation")
	}
	answer := control.Message{Op: control.OpOK, Re: o.m.Op}
	switch {
	case err != nil:
		answer = control.Message{Op: control.OpError, Re: o.m.Op, Error: err.Error()}
	case o.m.Op == control.OpCounters, o.m.Op == control.OpReturn:
		return // answered
	}
	if err := conn.Send(answer); err != nil {
		s.log.Warn("supervisor doesn't listen", "error", err)
	}
}

// orderListen takes all of the sockets or none.
func (s *server) orderListen(o order) error {
	if len(o.m.VNodes) != len(o.files) {
		return fmt.Errorf("%d names for %d sockets", len(o.m.VNodes), len(o.files))
	}
	var listeners []Listener
	for i, f := range o.files {
		ln, err := doorOf(f)
		if err != nil {
			return errors.Join(fmt.Errorf("socket of %q: %w", o.m.VNodes[i].VNode, err), closeListeners(listeners))
		}
		listeners = append(listeners, Listener{VNode: o.m.VNodes[i].VNode, Socket: ln})
	}
	for i, l := range listeners {
		err := s.add(o.m.VNodes[i], l.Socket)
		if err == nil {
			continue
		}
		err = errors.Join(err, closeListeners(listeners[i:]))
		for _, taken := range listeners[:i] {
			err = errors.Join(err, s.remove(taken.VNode))
		}
		return err
	}
	return nil
}

func (s *server) orderPolicy(m control.Message) error {
	for _, v := range m.VNodes {
		rules, err := ParseRules(v.Rules)
		if err != nil {
			return fmt.Errorf("%s: %w", v.VNode, err)
		}
		j := s.jail(v.VNode)
		if j == nil {
			return fmt.Errorf("no vnode %q", v.VNode)
		}
		j.rules.Store(&rules)
	}
	return nil
}

func (s *server) orderLimits(m control.Message) error {
	if m.Limits == nil {
		return errors.New("no limits")
	}
	l := *m.Limits
	if min(l.Connections, l.Requests, l.Total, l.Pool) < 0 || min(l.Rate, l.Burst, l.Bytes, l.BytesBurst) < 0 {
		return errors.New("a limit below zero")
	}
	s.useLimits(l)
	return nil
}

func (s *server) orderTmcd(m control.Message) error {
	t, err := tmcdFrom(m, s.signatures.Key)
	if err != nil {
		return err
	}
	return s.useTmcd(t)
}

// errAlone: there is no supervisor now.
var errAlone = errors.New("no supervisor")

func (s *server) sendBoss(m control.Message) error {
	conn := s.boss.Load()
	if conn == nil {
		return errAlone
	}
	return conn.Send(m)
}

func (s *server) orderAudit(o order) error {
	if len(o.files) != 1 {
		return fmt.Errorf("%d files, want one", len(o.files))
	}
	raw, err := o.files[0].SyscallConn()
	if err != nil {
		return err
	}
	copied, err := dup(raw, "audit")
	if err != nil {
		return err
	}
	return s.audit.use(copied, o.m.MaxBytes)
}

// auditFull tells the supervisor. If nobody listens, the log stays full.
func (s *server) auditFull() {
	s.log.Warn("audit log is full, lines are lost")
	if err := s.sendBoss(control.Message{Op: control.OpAuditFull}); err != nil && !errors.Is(err, errAlone) {
		s.log.Warn("supervisor doesn't listen", "error", err)
	}
}

func (s *server) orderControl(o order) (*net.UnixListener, error) {
	if len(o.files) != 1 {
		return nil, fmt.Errorf("%d sockets, want one", len(o.files))
	}
	return fileListener(o.files[0], "unixpacket")
}

// doorOf makes a jail's socket of a copy of f.
func doorOf(f *os.File) (net.Listener, error) {
	ln, err := fileListener(f, "unix")
	if err != nil {
		return nil, err
	}
	return newDoor(ln)
}

// fileListener makes a listener of a copy of f, if it is a unix socket of that
// kind ("unix" is a stream).
func fileListener(f *os.File, network string) (*net.UnixListener, error) {
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u, ok := ln.(*net.UnixListener)
	if !ok || u.Addr().Network() != network {
		return nil, errors.Join(fmt.Errorf("a %s socket, want a %s one", ln.Addr().Network(), network), ln.Close())
	}
	return u, nil
}

// countersBatch of the longest lines fit into a message.
const countersBatch = 150

func (s *server) sendCounters(conn *control.Conn) error {
	proxy, all := s.counters()
	for len(all) > countersBatch {
		m := control.Message{Op: control.OpCounters, Re: control.OpCounters, Counters: all[:countersBatch], More: true}
		if err := conn.Send(m); err != nil {
			return err
		}
		all = all[countersBatch:]
	}
	return conn.Send(control.Message{Op: control.OpCounters, Re: control.OpCounters, Counters: all, Proxy: &proxy})
}

// sendListeners gives copies of all sockets.
func (s *server) sendListeners(conn *control.Conn) error {
	jails := s.list()
	for {
		n := min(len(jails), control.MaxFiles)
		m := control.Message{Op: control.OpReturn, Re: control.OpReturn, More: n < len(jails)}
		files, err := copies(jails[:n])
		for _, j := range jails[:n] {
			m.VNodes = append(m.VNodes, control.VNode{VNode: j.vnode, Cgroup: j.home.cgroup, Path: j.home.path})
		}
		if err == nil {
			err = conn.Send(m, files...)
		}
		if err = errors.Join(err, control.CloseFiles(files)); err != nil || !m.More {
			return err
		}
		jails = jails[n:]
	}
}

func copies(jails []*jail) (files []*os.File, err error) {
	for _, j := range jails {
		sc, ok := j.ln.(interface{ File() (*os.File, error) })
		if !ok {
			return files, fmt.Errorf("socket of %q can't be copied", j.vnode)
		}
		f, err := sc.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}
