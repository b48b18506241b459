package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// datagrams takes requests until the socket is closed. Above the limit they are dropped, as the network
// might have done.
func (s *Server) datagrams(c *net.UDPConn) {
	buf := make([]byte, protocol.MaxUDPRequest) // the kernel cuts what is longer; tmcd runs the rest
	for {
		n, peer, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error that an earlier answer brought about: no news of this socket.
			s.o.Logger.Debug("cannot read a datagram", "error", err)
			s.pause(time.Millisecond)
			continue
		}
		select {
		case s.udpN <- struct{}{}:
		default:
			s.o.Metrics.rejected.Inc()
			continue
		}
		data := append([]byte(nil), buf[:n]...)
		s.work.Go(func() {
			defer func() { <-s.udpN }()
			d := &datagram{c: c, peer: peer}
			d.x = exchange{s: s, peer: unmap(peer), source: peer.Addr().Unmap(), transport: answer.UDP, begun: time.Now()}
			d.run(data)
		})
	}
}

// datagram is an exchange over UDP: no output means no datagram, whatever the reason.
type datagram struct {
	x    exchange
	c    *net.UDPConn
	peer netip.AddrPort
}

func (d *datagram) run(data []byte) {
	x := &d.x
	x.entry.Received = len(data)
	x.trouble = x.s.early(x.source, answer.UDP)
	if x.has(fault.Down) {
		x.end(store.Refused, "down on demand")
		return
	}
	r, err := protocol.ParseRequest(data)
	x.describe(r, err)
	if err != nil {
		x.end(store.Refused, redact(err.Error()))
		return
	}
	if err := x.admitted(r); err != nil {
		x.end(store.Refused, err.Error())
		return
	}
	ask := fault.Ask{Command: r.Command, Node: x.node, Host: x.entry.Host, Transport: string(answer.UDP)}
	x.trouble = append(x.trouble, x.s.o.Faults.For(ask, time.Now())...)
	switch {
	case x.has(fault.Refuse), x.has(fault.Hang):
		x.end(store.Refused, "never answered, on demand")
		return
	case x.has(fault.Redirect), x.has(fault.Loop):
		d.send([]byte("REDIRECT=" + d.target() + "\n"))
		return
	}
	v := x.s.o.Answer(x.query(r))
	x.node, x.entry.Host = v.Node, v.Host
	if v.Why != "" {
		x.end(store.Refused, v.Why)
		return
	}
	for _, p := range v.Pauses {
		x.s.pause(p.For)
	}
	d.reply(v.Reply)
}

func (d *datagram) target() string {
	if t, ok := d.x.find(fault.Redirect); ok {
		return t.Rule.To
	}
	return d.x.s.here(d.c.LocalAddr())
}

// reply sends one datagram. What needs a stream (drip, slice, slow-close) becomes the time that it would
// have taken; a reset is a datagram that never comes.
func (d *datagram) reply(data []byte) {
	x := &d.x
	data = data[:min(len(data), protocol.MaxUDPReply)]
	for _, t := range x.trouble {
		switch t.Rule.Kind {
		case fault.Delay:
			x.s.pause(t.Delay)
		case fault.Drip:
			x.s.pause(time.Duration(float64(time.Second) * float64(len(data)) / float64(t.Rule.Rate)))
		case fault.Reset:
			x.end(store.Failed, "dropped on demand")
			return
		}
	}
	d.send(spoil(x.trouble, data))
}

func (d *datagram) send(data []byte) {
	x := &d.x
	data = data[:min(len(data), protocol.MaxUDPReply)]
	if len(data) == 0 {
		x.end(store.Empty, "")
		return
	}
	n, err := d.c.WriteToUDPAddrPort(data, d.peer)
	x.entry.Sent = n
	if err != nil {
		x.end(store.Failed, fmt.Sprintf("send the answer: %v", err))
		return
	}
	x.end(store.Answered, "")
}

// here is how a client that came to addr would name this server.
func (s *Server) here(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}
