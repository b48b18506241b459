package proxy

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Why a caller isn't believed.
const (
	errStranger = refusal("caller is not in the jail")
	errNobody   = refusal("caller is gone or can't be known")
)

// A Peer is the process that connected, as the kernel told it: not necessarily
// the one that writes, for descriptors can be handed on (docs/spec/peers.md
// §3). Uid is the host's. Comm is the process's own choice. Pid 0: unknown.
type Peer struct {
	PID  int    `json:"pid"`
	UID  int    `json:"uid"`
	Comm string `json:"comm"`
}

// A home is where a jail's callers must lie.
type home struct {
	cgroup uint64 // inode of its directory; 0: unknown
	path   string // the same by path; "": unknown
}

func (h home) known() bool { return h.cgroup != 0 || h.path != "" }

// has reports whether the cgroup at path is home or lies below it, compared by
// whole components: /jails/pcvm1-1 doesn't contain /jails/pcvm1-10.
func (h home) has(path string) bool {
	if h.path == "" {
		return false
	}
	return path == h.path || strings.HasPrefix(path, strings.TrimSuffix(h.path, "/")+"/")
}

// A mode says what becomes of a caller from outside the jail whose socket it
// uses. A jail without a known home has callers nobody can judge; they pass.
type mode int

const (
	enforce mode = iota // refused
	logOnly             // served, and the audit line says so
)

// parseMode reads what control.VNode.Attest has; nothing is enforce.
func parseMode(s string) (mode, error) {
	switch s {
	case "", "enforce":
		return enforce, nil
	case "log":
		return logOnly, nil
	}
	return enforce, fmt.Errorf("attest %q, want enforce or log", s)
}

// An attestor asks the kernel who is at the other end.
type attestor struct {
	proc     *os.File    // the directory /proc; nil: unreachable. Set before the first caller comes
	fallback func(error) // hears once why the better way didn't work

	once sync.Once
}

// A witness is what is known of a caller, and a hold on its process, so that it
// can be asked for its name when there is time.
type witness struct {
	Peer
	pidfd int // 0: none
}

// identify says who connected; release must follow. The error is nil if the
// caller lies in h, or if h is unknown; errStranger if it lies elsewhere;
// errNobody if nobody can tell.
func (a *attestor) identify(conn net.Conn, h home) (witness, error) {
	sock, ok := conn.(syscall.Conn)
	if ok {
		switch conn.LocalAddr().Network() {
		case "unix", "unixpacket":
			return a.identifyUnix(sock, h)
		}
	}
	return witness{}, ifKnown(h, errNobody)
}

// ifKnown is err for a jail whose callers can be judged.
func ifKnown(h home, err error) error {
	if h.known() {
		return err
	}
	return nil
}

func (a *attestor) degraded(err error) {
	a.once.Do(func() { a.fallback(err) })
}
