package proxy

import (
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"emujail/proxy/control"
)

// Options say where requests come from and what becomes of them. One of Path,
// Inet, Listeners and Control is needed; with Control all else that it can
// carry (jails, tmcds, the audit log) comes from the supervisor.
type Options struct {
	Path  string // socket to make, for VNode alone
	VNode string // whose requests come by Path or Inet

	// Inet is an address to listen at instead of Path: the original's -X. There
	// callers are whoever reaches it; nothing about them is known.
	Inet netip.AddrPort

	// Listeners are sockets that somebody opened, systemd for one.
	Listeners []Listener

	// Control is the connection to the supervisor.
	Control *control.Conn

	// Tmcd is whom to ask, until the supervisor says otherwise.
	Tmcd Tmcd

	// Rules go before the built-in table, for each of the jails named above:
	// lines "allow COMMAND" or "deny COMMAND".
	Rules []string

	// Audit gets a line a request. Nil: nobody does, unless the supervisor
	// sends a file.
	Audit io.Writer

	// Confine, if not nil, runs once when all sockets are there and before the
	// first request; function Confine is meant. Serve ends with its error. What
	// it returns is the directory /proc, which gives callers' names to the audit
	// log and their cgroups to the attestation. Without Confine it is opened.
	Confine func() (proc *os.File, err error)

	// Limits and Deadlines; zero fields are replaced by DefaultLimits and
	// DefaultDeadlines.
	Limits    Limits
	Deadlines Deadlines

	// Logger hears what isn't about one request. Nil: nobody does.
	Logger *slog.Logger

	now func() time.Time // nil: time.Now; tests have clocks that jump
}

// Limits bound what callers can use up.
type Limits = control.Limits

// DefaultLimits are those of docs/design.md §3, decision 4.
func DefaultLimits() Limits {
	return Limits{
		Connections: 256, Requests: 32,
		Rate: 1000, Burst: 2000,
		Bytes: 8 << 20, BytesBurst: 64 << 20,
		Total: 16384, Pool: 64,
	}
}

// Deadlines bound every wait.
type Deadlines struct {
	Idle     time.Duration // a connection that says nothing
	Head     time.Duration // from the first byte to the end of the command's word
	Silence  time.Duration // after a complete head, this long nothing is the end
	Request  time.Duration // from the first byte to the last
	Turn     time.Duration // waiting for the jail's limits and for the pool
	Dial     time.Duration // one attempt to connect to a tmcd, and one handshake
	Tmcd     time.Duration // all attempts: how long a tmcd may be away
	Progress time.Duration // between bytes of an answer over TCP
	Datagram time.Duration // for an answer over UDP
	Write    time.Duration // a caller that doesn't take its answer
	Drain    time.Duration // requests under way when the proxy ends
}

// DefaultDeadlines are those of docs/design.md §3, decision 5, and patient ones
// where it names none.
func DefaultDeadlines() Deadlines {
	return Deadlines{
		Idle: time.Minute, Head: 5 * time.Second, Silence: 100 * time.Millisecond, Request: 30 * time.Second,
		Turn: 10 * time.Second, Dial: 3 * time.Second, Tmcd: 20 * time.Second,
		Progress: 30 * time.Second, Datagram: 5 * time.Second,
		Write: 10 * time.Second, Drain: 10 * time.Second,
	}
}

// or is v, or def if v is the zero value.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// limitsOf fills in zero fields.
func limitsOf(l Limits) Limits {
	d := DefaultLimits()
	return Limits{
		Connections: or(l.Connections, d.Connections), Requests: or(l.Requests, d.Requests),
		Rate: or(l.Rate, d.Rate), Burst: or(l.Burst, d.Burst),
		Bytes: or(l.Bytes, d.Bytes), BytesBurst: or(l.BytesBurst, d.BytesBurst),
		Total: or(l.Total, d.Total), Pool: or(l.Pool, d.Pool),
	}
}

// withDefaults fills in zero fields.
func (t Deadlines) withDefaults() Deadlines {
	d := DefaultDeadlines()
	return Deadlines{
		Idle: or(t.Idle, d.Idle), Head: or(t.Head, d.Head), Silence: or(t.Silence, d.Silence),
		Request: or(t.Request, d.Request), Turn: or(t.Turn, d.Turn), Dial: or(t.Dial, d.Dial),
		Tmcd: or(t.Tmcd, d.Tmcd), Progress: or(t.Progress, d.Progress), Datagram: or(t.Datagram, d.Datagram),
		Write: or(t.Write, d.Write), Drain: or(t.Drain, d.Drain),
	}
}
