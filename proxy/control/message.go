package control

import "net/netip"

// Limits of one message.
const (
	// MaxMessage is the most bytes that a message's JSON may have.
	MaxMessage = 64 << 10

	// MaxFiles is the most descriptors that SCM_RIGHTS takes at once; 254 give
	// EINVAL (docs/spec/linux.md §11).
	MaxFiles = 253
)

// Operations, from the supervisor to the proxy.
const (
	// OpListen hands over listening sockets: VNodes, and one descriptor each in
	// the same order. A vnode that is already there is an error; so is a name
	// twice, or a number of descriptors other than that of the names: then the
	// whole message is refused and its descriptors are closed.
	OpListen = "listen"

	// OpClose takes VNode's socket away and cuts its open connections. When the
	// "ok" arrives nothing of that jail is alive in the proxy.
	OpClose = "close"

	// OpPolicy replaces the rules of one jail: VNodes with one entry, its Rules.
	OpPolicy = "policy"

	// OpTmcd replaces the tmcds to ask: Servers, Redirects, TLS, Version.
	// Requests under way stay with the old ones.
	OpTmcd = "tmcd"

	// OpLimits replaces the limits: Limits. Those of one jail count for jails
	// that come later.
	OpLimits = "limits"

	// OpAudit replaces the audit log by the one descriptor that comes along, a
	// file open for appending. MaxBytes bounds what the proxy writes to it.
	OpAudit = "audit"

	// OpCounters asks for all counters; answered by OpCounters.
	OpCounters = "counters"

	// OpDrain stops accepting and ends the proxy once all requests under way
	// are done. The sockets' backlogs stay with the supervisor's copies.
	OpDrain = "drain"

	// OpReturn asks for copies of all listening sockets; answered by OpReturn.
	// For a supervisor that lost its own: it believes only what it recorded.
	OpReturn = "return"

	// OpControl hands over a listening SOCK_SEQPACKET socket at which the proxy
	// waits for the next supervisor when this one is gone. Without it, the
	// proxy drains when the control connection ends.
	OpControl = "control"

	// OpSignature answers OpSign: ID, Signature, or Error.
	OpSignature = "signature"
)

// Operations, from the proxy to the supervisor.
const (
	// OpReady says that the proxy is confined and takes messages.
	OpReady = "ready"

	// OpOK and OpError answer the request that Re names.
	OpOK    = "ok"
	OpError = "error"

	// OpSign asks for a signature by the host's key: ID, Digest, Hash, PSS.
	OpSign = "sign"

	// OpAuditFull says that the audit log has reached MaxBytes: lines are
	// counted and dropped until the next OpAudit.
	OpAuditFull = "audit-full"
)

// A Message is anything that is said, in either direction. Op says which fields
// count.
type Message struct {
	Op    string `json:"op"`
	Re    string `json:"re,omitempty"`    // ok, error: the operation answered
	Error string `json:"error,omitempty"` // error, signature: why not

	VNodes []VNode `json:"vnodes,omitempty"` // listen, return, policy
	VNode  string  `json:"vnode,omitempty"`  // close

	Servers   []Server `json:"servers,omitempty"`   // tmcd: asked in this order
	Redirects []Server `json:"redirects,omitempty"` // tmcd: what a redirect may name besides
	TLS       *TLS     `json:"tls,omitempty"`       // tmcd: nil is plain TCP
	Version   int      `json:"version,omitempty"`   // tmcd: protocol version spoken by the site

	Limits *Limits `json:"limits,omitempty"` // limits; zero fields are the defaults

	// PrivKey is a wide-area host's key, sent with each request (tmcd).
	PrivKey string `json:"priv_key,omitempty"`

	MaxBytes int64 `json:"max_bytes,omitempty"` // audit: 0 is the proxy's default

	Proxy    *ProxyCounters `json:"proxy,omitempty"`    // counters, last message only
	Counters []Counters     `json:"counters,omitempty"` // counters
	More     bool           `json:"more,omitempty"`     // counters, return: another one follows

	ID        uint64 `json:"id,omitempty"`        // sign, signature
	Digest    []byte `json:"digest,omitempty"`    // sign
	Hash      uint   `json:"hash,omitempty"`      // sign: crypto.Hash by number
	PSS       bool   `json:"pss,omitempty"`       // sign: RSA-PSS with a salt as long as the hash
	Signature []byte `json:"signature,omitempty"` // signature
}

// A VNode is one jail and how its callers are recognized.
type VNode struct {
	VNode string `json:"vnode"`

	// Cgroup is the inode number of the jail's directory in the unified cgroup
	// hierarchy; 0: unknown, callers are not attested.
	Cgroup uint64 `json:"cgroup,omitempty"`

	// Path is the same directory's path as /proc/<pid>/cgroup shows it to the
	// host. With it, callers in cgroups below the jail's own are recognized,
	// and kernels without PIDFD_GET_INFO serve. Optional.
	Path string `json:"path,omitempty"`

	// Attest is "enforce", which "" means too: callers from outside are refused;
	// or "log": they are served, and the audit line says so.
	Attest string `json:"attest,omitempty"`

	// Rules are lines "allow COMMAND" or "deny COMMAND" that go before the
	// built-in table.
	Rules []string `json:"rules,omitempty"`
}

// Limits bound what callers can use up. All but Total and Pool are of one jail.
type Limits struct {
	Connections int     `json:"connections,omitempty"` // open at once; the oldest that has said nothing makes room
	Requests    int     `json:"requests,omitempty"`    // at once, from the first byte to the end of the answer
	Rate        float64 `json:"rate,omitempty"`        // requests a second, in the long run
	Burst       float64 `json:"burst,omitempty"`       // requests that may come at once
	Bytes       float64 `json:"bytes,omitempty"`       // bytes a second both ways, in the long run
	BytesBurst  float64 `json:"bytes_burst,omitempty"` // bytes that may be moved at once

	Total int `json:"total,omitempty"` // connections of all jails
	Pool  int `json:"pool,omitempty"`  // requests of all jails that tmcd works on at once
}

// A Server is a tmcd with its addresses: the proxy resolves no name.
type Server struct {
	Name  string       `json:"name"`
	Addrs []netip.Addr `json:"addrs"`
	Ports []int        `json:"ports,omitempty"` // none: 7777, then 14447

	// ProxyHeader says that this tmcd wants a PROXY v2 header (docs/design.md
	// §3, decision 6).
	ProxyHeader bool `json:"proxy_header,omitempty"`
}

// TLS holds what a handshake needs, as PEM. Without Key, signatures are asked
// for by OpSign: then the proxy never sees the key.
type TLS struct {
	CA   string `json:"ca"`
	Cert string `json:"cert"`
	Key  string `json:"key,omitempty"`
}

// Counters are one jail's, since its listen. All but Open and Active only grow.
type Counters struct {
	VNode string `json:"vnode"`

	Open   int64 `json:"open"`   // connections now
	Active int64 `json:"active"` // requests now

	Connections  uint64 `json:"connections"`
	Requests     uint64 `json:"requests"` // that were read whole
	OK           uint64 `json:"ok"`
	Refused      uint64 `json:"refused"`
	Errors       uint64 `json:"errors"`
	Spoofs       uint64 `json:"spoofs"`    // identity tags taken out of requests
	Strangers    uint64 `json:"strangers"` // callers from outside the jail
	Evicted      uint64 `json:"evicted"`   // silent connections closed for newer ones
	Overflow     uint64 `json:"overflow"`  // connections refused at the limit
	RequestBytes uint64 `json:"request_bytes"`
	ReplyBytes   uint64 `json:"reply_bytes"`
	Micros       uint64 `json:"micros"` // sum over requests, accept to end
}

// ProxyCounters are the process's own.
type ProxyCounters struct {
	Jails      int    `json:"jails"`
	Open       int64  `json:"open"`
	Active     int64  `json:"active"`     // requests at tmcd now
	Waiting    int    `json:"waiting"`    // requests waiting for their turn
	AuditLost  uint64 `json:"audit_lost"` // lines that found no room
	AcceptErrs uint64 `json:"accept_errors"`
	TmcdErrors uint64 `json:"tmcd_errors"` // failed attempts to reach a tmcd
	Redirects  uint64 `json:"redirects"`
}
