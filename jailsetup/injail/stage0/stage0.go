// Package stage0 is what runs between the clone that makes a jail's
// namespaces and the exec of the jail's PID 1 (spec/linux.md §2.2, step 9).
//
// The spawner on the host starts "injail stage0" with file descriptor 3 as one
// end of a SOCK_SEQPACKET pair. Stage 0 still sees the host's tree; it is our
// code and nobody else is in the namespaces. It says [Ready] and waits for one
// [Message], while the spawner mounts, plugs cables and, no sooner than it has
// heard Ready, pivots the root under it. Then, on one
// locked thread, in this order:
//
//	new session keyring → own mount and cgroup namespace → clean session,
//	umask, signal mask → limit of core dumps → bounding set → seccomp →
//	close-on-exec for all descriptors above 2 → exec
//
// What is set per thread becomes the process's, because exec leaves only the
// thread that calls it. Success shows as end of file on descriptor 3; any
// trouble as one [Failure] and exit status 1.
//
// Stage 0 trusts the spawner and nothing else. It reads no file and no
// environment variable to decide anything. A message that it does not
// understand to the last field is refused: a misspelt restriction must not be
// a missing one.
package stage0

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// FD is the descriptor on which stage 0 finds its end of the socket pair.
const FD = 3

// MaxMessage is the longest [Message], in bytes of JSON.
const MaxMessage = 64 << 10

// maxCapability is the highest capability number that the kernel could know.
const maxCapability = 63

// Message is the one thing that the spawner says: go, and how.
type Message struct {
	// Go must be true.
	Go bool `json:"go"`
	// Bounding are the capability numbers to drop from the bounding set.
	Bounding []int `json:"bounding,omitempty"`
	// Seccomp is what the system call filter lets through.
	Seccomp Options `json:"seccomp"`
	// Argv is the program to execute by its path inside, and its arguments.
	Argv []string `json:"argv"`
	// Env is the whole environment of that program, KEY=value each.
	Env []string `json:"env,omitempty"`
}

// Ready is what stage 0 says first: it has done what needs the host's tree, and
// the spawner may pivot the root away under it.
type Ready struct {
	Ready bool `json:"ready"`
}

// Failure is what stage 0 answers when it cannot go on.
type Failure struct {
	Error string `json:"error"`
}

// ErrNotGo tells that a message came that doesn't say "go".
var ErrNotGo = errors.New(`message without "go"`)

// ParseMessage reads a Message and holds it against the rules: known fields
// only, go said, an absolute program path, capability numbers in range, no NUL
// byte in what goes to exec.
func ParseMessage(b []byte) (Message, error) {
	var m Message
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Message{}, fmt.Errorf("parse message: %w", err)
	}
	if d.More() {
		return Message{}, errors.New("parse message: more than one value")
	}
	if !m.Go {
		return Message{}, ErrNotGo
	}
	if len(m.Argv) == 0 || len(m.Argv[0]) == 0 || m.Argv[0][0] != '/' {
		return Message{}, fmt.Errorf("argv %q: want an absolute path first", m.Argv)
	}
	for _, c := range m.Bounding {
		if c < 0 || c > maxCapability {
			return Message{}, fmt.Errorf("bounding: no capability %d", c)
		}
	}
	for _, s := range append(append([]string{}, m.Argv...), m.Env...) {
		if bytes.IndexByte([]byte(s), 0) >= 0 {
			return Message{}, fmt.Errorf("NUL byte in %q", s)
		}
	}
	return m, nil
}

// Options says which of the switchable things a jail may do. The zero value
// refuses them all; what is refused to every jail is not listed here but in
// the filter's rules (spec/linux.md §4, §8; rows T15 and S26 in the spec).
//
// In JSON it is an object, {"sysvipc":true,"packet":true,…}, in which a
// missing key means refused, or the word "default" for [DefaultOptions].
type Options struct {
	// SysVIPC: shmget, semget and msgget (permission bit SYSVIPC).
	SysVIPC bool `json:"sysvipc"`
	// Packet: AF_PACKET sockets, for capture (BPFRO). Injection around the
	// host's egress filter (PACKET_QDISC_BYPASS) is refused in any case.
	Packet bool `json:"packet"`
	// Raw: SOCK_RAW over IPv4 and IPv6 (INETRAW).
	Raw bool `json:"raw"`
	// Netfilter: the nftables netlink family and the older iptables socket
	// options (IPFW).
	Netfilter bool `json:"netfilter"`
	// Multicast: a raw socket may make its owner the multicast router (ROUTING),
	// for which the kernel wants no more than the raw socket.
	Multicast bool `json:"multicast"`
}

// DefaultOptions lets through everything that is switchable.
func DefaultOptions() Options {
	return Options{SysVIPC: true, Packet: true, Raw: true, Netfilter: true, Multicast: true}
}

// UnmarshalJSON takes the word "default" or an object with known keys only.
func (o *Options) UnmarshalJSON(b []byte) error {
	if bytes.Equal(bytes.TrimSpace(b), []byte(`"default"`)) {
		*o = DefaultOptions()
		return nil
	}
	type plain Options
	var p plain
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf(`seccomp: want "default" or an object of switches: %w`, err)
	}
	*o = Options(p)
	return nil
}
