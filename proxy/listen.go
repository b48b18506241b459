package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// A Listener is a socket and the jail whose requests come by it.
type Listener struct {
	VNode  string
	Socket net.Listener
}

// A jail is one listening socket and everything that is counted for it. Its
// name is the identity of all that comes by the socket.
type jail struct {
	vnode string
	home  home
	mode  mode // for callers from outside home
	ln    net.Listener
	rules atomic.Pointer[Rules]

	alive  context.Context // ends with the jail: so do its connections
	end    context.CancelFunc
	taking context.Context // ends when no connection is taken any more
	refuse context.CancelFunc
	done   sync.WaitGroup // the accept loop and the connections

	crowd crowd         // connections
	slots chan struct{} // requests
	rate  bucket        // requests a second
	bytes bucket        // bytes a second
	queue queue         // requests before the gate

	counts counts
}

// newJail checks the name, which goes into every request: tmcd reads
// protocol.MaxNodeID characters of it, and the rest would be cut off.
func newJail(parent context.Context, v control.VNode, ln net.Listener, l Limits) (*jail, error) {
	if err := checkVNode(v.VNode); err != nil {
		return nil, err
	}
	rules, err := ParseRules(v.Rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.VNode, err)
	}
	mode, err := parseMode(v.Attest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.VNode, err)
	}
	j := &jail{
		vnode: v.VNode, home: home{cgroup: v.Cgroup, path: v.Path}, mode: mode, ln: ln,
		slots: make(chan struct{}, l.Requests),
		crowd: crowd{freed: make(chan struct{}, 1)},
		rate:  bucket{rate: l.Rate, burst: l.Burst},
		bytes: bucket{rate: l.Bytes, burst: l.BytesBurst},
	}
	j.rules.Store(&rules)
	j.alive, j.end = context.WithCancel(parent)
	j.taking, j.refuse = context.WithCancel(j.alive)
	if sc, ok := ln.(syscall.Conn); ok && ln.Addr().Network() == "unix" {
		refuseRights(sc)
	}
	return j, nil
}

func checkVNode(name string) error {
	if len(name) == 0 || len(name) > protocol.MaxNodeID {
		return fmt.Errorf("vnode %q: want 1 to %d characters", name, protocol.MaxNodeID)
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return fmt.Errorf("vnode %q: want letters, digits, - and _ only", name)
		}
	}
	return nil
}

// Pauses after an accept that failed in passing: too many open files.
const (
	acceptMin = 5 * time.Millisecond
	acceptMax = time.Second
)

// accept takes connections until the socket is closed. An error of another kind
// passes: it waits a little longer each time.
func (s *server) accept(j *jail) {
	pause := acceptMin
	for {
		conn, err := j.ln.Accept()
		if err == nil {
			pause = acceptMin
			s.admit(j, conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.acceptErrors.Add(1)
		select {
		case <-j.taking.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, acceptMax)
	}
}

// admit gives a connection its place and its goroutine. Where all of a jail's
// connections have something to say the newest waits, and with it the jail's
// backlog; if no place gets free in time it is closed.
func (s *server) admit(j *jail, conn net.Conn) {
	start := s.o.now()
	j.counts.connections.Add(1)
	s.makeRoom(j)
	place := s.place(j, conn)
	if place == nil {
		j.counts.overflow.Add(1)
		_ = conn.Close()
		return
	}
	s.open.Add(1)
	j.done.Add(1)
	s.workers.do(job{j, conn, place, start})
}

// place waits for a place in the jail's crowd; nil: there was none.
func (s *server) place(j *jail, conn net.Conn) *ticket {
	most := s.limits.Load().Connections
	var late <-chan time.Time
	for {
		t, evicted := j.crowd.enter(most, func() { _ = conn.Close() })
		if evicted {
			j.counts.evicted.Add(1)
			s.open.Add(-1)
		}
		if t != nil {
			return t
		}
		if late == nil {
			timer := time.NewTimer(s.o.Deadlines.Turn)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-j.crowd.freed:
		case <-late:
			return nil
		case <-j.taking.Done():
			return nil
		}
	}
}

// makeRoom keeps all jails' connections below the total. A jail that has more
// than an equal share of them loses its own oldest silent one, else the jail
// with the most does.
func (s *server) makeRoom(j *jail) {
	total := s.limits.Load().Total
	if s.open.Load() < int64(total) {
		return
	}
	victim := j
	s.mu.Lock()
	if share := total / max(1, len(s.jails)); j.crowd.size() <= share {
		most := 0
		for _, other := range s.jails {
			if n := other.crowd.size(); n > most {
				victim, most = other, n
			}
		}
	}
	s.mu.Unlock()
	if victim.crowd.evict() {
		victim.counts.evicted.Add(1)
		s.open.Add(-1)
	}
}

// stop ends accepting: what waits for a place goes, what has one stays.
func (j *jail) stop() error {
	err := j.ln.Close()
	j.refuse()
	return err
}

// close ends the jail: its socket, its connections, whatever they are at. When
// it returns nothing of the jail is alive.
func (j *jail) close() error {
	err := j.stop()
	j.end()
	j.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // the proxy drains
	}
	return err
}
