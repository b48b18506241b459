package proxy

import (
	"sync/atomic"
	"time"

	"emujail/proxy/control"
)

// counts are one jail's counters; see control.Counters.
type counts struct {
	active                              atomic.Int64
	connections, requests               atomic.Uint64
	ok, refused, errors                 atomic.Uint64
	spoofs, strangers                   atomic.Uint64
	evicted, overflow                   atomic.Uint64
	requestBytes, replyBytes, microsSum atomic.Uint64
}

// add counts the end of a request.
func (c *counts) add(l *Line, spent time.Duration) {
	switch l.Outcome {
	case outcomeOK:
		c.ok.Add(1)
	case outcomeRefused:
		c.refused.Add(1)
	default:
		c.errors.Add(1)
	}
	c.requestBytes.Add(uint64(l.RequestBytes))
	c.replyBytes.Add(uint64(l.ReplyBytes))
	c.microsSum.Add(uint64(spent.Microseconds()))
}

func (j *jail) counters() control.Counters {
	c := &j.counts
	return control.Counters{
		VNode: j.vnode,
		Open:  int64(j.crowd.size()), Active: c.active.Load(),
		Connections: c.connections.Load(), Requests: c.requests.Load(),
		OK: c.ok.Load(), Refused: c.refused.Load(), Errors: c.errors.Load(),
		Spoofs: c.spoofs.Load(), Strangers: c.strangers.Load(),
		Evicted: c.evicted.Load(), Overflow: c.overflow.Load(),
		RequestBytes: c.requestBytes.Load(), ReplyBytes: c.replyBytes.Load(), Micros: c.microsSum.Load(),
	}
}

// counters are those of the process, and of its jails.
func (s *server) counters() (control.ProxyCounters, []control.Counters) {
	jails := s.list()
	all := make([]control.Counters, 0, len(jails))
	for _, j := range jails {
		all = append(all, j.counters())
	}
	return control.ProxyCounters{
		Jails: len(jails), Open: s.open.Load(), Active: s.active.Load(), Waiting: s.gate.counts(),
		AuditLost: s.audit.lost.Load(), AcceptErrs: s.acceptErrors.Load(),
		TmcdErrors: s.tmcdErrors.Load(), Redirects: s.redirects.Load(),
	}, all
}
