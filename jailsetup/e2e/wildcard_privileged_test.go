//go:build linux && privileged

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// Ports at which a jail answers: at the wildcard of IPv4, at that of both.
const (
	port4 = "7001"
	port6 = "7002"
)

// wildcards are two jails on a LAN, each with two addresses, that answer at
// their wildcards, over TCP and UDP.
type wildcards struct {
	*rig
	a, b           string
	aAt, bAt       string     // on the control network
	aOnLAN, bOnLAN string     // on the LAN
	a6, b6         netip.Addr // on the LAN, over IPv6
}

// stray is no address of anybody's.
const stray = "10.9.9.9"

// lanAddress6 is the IPv6 address that the jail has on the LAN, once it may be
// used.
func (w *wildcards) lanAddress6(vnode string) (a netip.Addr) {
	w.t.Helper()
	w.await("an IPv6 address of "+vnode, func() error {
		fields := strings.Fields(w.enter(vnode, "ip", "-6", "-o", "address", "show", "dev", "eth1", "scope", "link", "-tentative"))
		if len(fields) < 4 {
			return fmt.Errorf("%q", fields)
		}
		p, err := netip.ParsePrefix(fields[3])
		a = p.Addr()
		return err
	})
	return a
}

// wildcardCall is one of a table: who calls what there, and what he is to be answered.
type wildcardCall struct {
	from     string // a vnode, or the host
	to, port string
	local    string // what the caller binds to; empty: nothing
	want     string // his address, or "no"
}

func (w *wildcards) calls(t *testing.T, table []wildcardCall) {
	t.Helper()
	for _, c := range table {
		for _, network := range []string{"tcp", "udp"} {
			words := []string{network, net.JoinHostPort(c.to, c.port)}
			if c.local != "" {
				words = append(words, c.local)
			}
			if got := w.answered(c, words...); got != c.want {
				t.Errorf("%q calls %v: %q, want %q", c.from, words, got, c.want)
			}
		}
	}
}

// answered is what a call is answered; who is to be answered and isn't calls
// again, since the machine has other work.
func (w *wildcards) answered(c wildcardCall, words ...string) (got string) {
	w.t.Helper()
	for range 3 {
		if got = w.callFrom(c.from, words...); got != "no" || c.want == "no" {
			return got
		}
	}
	return got
}

// answering has a jail answer at its wildcards.
func (w *wildcards) answering(vnode, at string) {
	w.t.Helper()
	inside := w.putInside(vnode, "inside")
	w.inBackground(vnode, inside, "answer", "tcp4", "0.0.0.0:"+port4, "udp4", "0.0.0.0:"+port4, "tcp", "[::]:"+port6, "udp", "[::]:"+port6)
	w.await("answers of "+vnode, func() error {
		for _, port := range []string{port4, port6} {
			if w.callFrom("", "udp", net.JoinHostPort(at, port)) == "no" {
				return fmt.Errorf("none from port %s", port)
			}
		}
		return nil
	})
}

// bootWith boots a jail with these permission bits, and other words of
// jailconfig, and has it answer.
func (w *wildcards) bootWith(t *testing.T, vnode, values string, more ...string) (at string) {
	t.Helper()
	said := positions(values)
	for _, word := range more {
		key, value, _ := strings.Cut(word, "=")
		said[key] = value
	}
	defer w.startRelay(map[string]map[string]string{vnode: said})()
	w.boot(vnode)
	j, _ := w.info(vnode)
	w.answering(vnode, j.Address)
	return j.Address
}

// TestWildcard: what INADDRANY says of a socket at the wildcard, in both
// positions, seen by those who call it and by those whom it calls.
func TestWildcard(t *testing.T) {
	w := &wildcards{rig: newRelayRig(t), aOnLAN: "10.1.1.2", bOnLAN: "10.1.1.3"}
	w.a, w.b = w.vnodes[0], w.vnodes[1]
	w.bAt = w.bootWith(t, w.b, "11111111")
	w.b6 = w.lanAddress6(w.b)
	w.enter(w.b, "ip", "route", "add", stray, "via", w.aOnLAN)

	w.aAt = w.bootWith(t, w.a, "11111111")
	w.a6 = w.lanAddress6(w.a)
	t.Run("1", w.eachAddress)
	w.must("kill", w.a)

	w.bootWith(t, w.a, "11101111", `IPADDRS="`+w.aOnLAN+`,10.1.9.9"`)
	if a6 := w.lanAddress6(w.a); a6 != w.a6 {
		t.Errorf("was %s over IPv6, is %s", w.a6, a6)
	}
	t.Run("0", w.primaryAddress)
	t.Run("an address that no interface has is told", func(t *testing.T) {
		if got := w.enter(w.a, "cat", "/run/emulab/jail.conf"); !strings.Contains(got, `NOTPROVIDED="address 10.1.9.9 of IPADDRS (no interface has it)"`) {
			t.Errorf("jail.conf says\n%s", got)
		}
	})
}

// sshdAtEach: sshd listens at each address that IPADDRS has, and at the primary
// one, whatever its wildcard would be.
func (w *wildcards) sshdAtEach(t *testing.T) {
	for _, to := range []string{w.aAt, w.aOnLAN} {
		c := wildcardCall{from: w.b, want: "SSH-"}
		if got := w.answered(c, "tcp", net.JoinHostPort(to, "22")); !strings.HasPrefix(got, c.want) {
			t.Errorf("sshd at %s says %q", to, got)
		}
	}
}

func (w *wildcards) eachAddress(t *testing.T) {
	host := w.callFrom("", "tcp4", net.JoinHostPort(w.aAt, port4)) // as jails see it
	t.Run("sshd", w.sshdAtEach)
	t.Run("called at each", func(t *testing.T) {
		w.calls(t, []wildcardCall{
			{"", w.aAt, port4, "", host}, {"", w.aAt, port6, "", host},
			{w.b, w.aAt, port4, "", w.bAt}, {w.b, w.aAt, port6, "", w.bAt},
			{w.b, w.aOnLAN, port4, "", w.bOnLAN}, {w.b, w.aOnLAN, port6, "", w.bOnLAN},
			{w.b, w.a6.String() + "%eth1", port6, "", w.b6.String()},
			{w.a, "127.0.0.1", port4, "", "127.0.0.1"},
		})
	})
	t.Run("called at no other", func(t *testing.T) {
		strange := []wildcardCall{{w.b, stray, port4, "", "no"}, {w.b, stray, port6, "", "no"}}
		w.calls(t, strange)
		w.enter(w.a, "ip", "address", "add", stray+"/32", "dev", "eth1")
		for i := range strange {
			strange[i].want = w.bOnLAN
		}
		w.calls(t, strange) // it does come to the jail
	})
	t.Run("calls from the interface's", func(t *testing.T) {
		for _, local := range []string{"", "0.0.0.0:0"} {
			w.calls(t, []wildcardCall{
				{w.a, w.bAt, port4, local, w.aAt}, {w.a, w.bAt, port6, local, w.aAt},
				{w.a, w.bOnLAN, port4, local, w.aOnLAN}, {w.a, w.bOnLAN, port6, local, w.aOnLAN},
			})
		}
		for _, local := range []string{"", "[::]:0"} {
			w.calls(t, []wildcardCall{{w.a, w.b6.String() + "%eth1", port6, local, w.a6.String()}})
		}
	})
}

func (w *wildcards) primaryAddress(t *testing.T) {
	host := w.callFrom("", "tcp4", net.JoinHostPort(w.aAt, port4))
	t.Run("sshd", w.sshdAtEach)
	t.Run("called at the primary alone", func(t *testing.T) {
		w.calls(t, []wildcardCall{
			{"", w.aAt, port4, "", host}, {"", w.aAt, port6, "", host},
			{w.b, w.aAt, port4, "", w.bAt}, {w.b, w.aAt, port6, "", w.bAt},
			{w.b, w.aOnLAN, port4, "", "no"}, {w.b, w.aOnLAN, port6, "", "no"},
			{w.b, w.a6.String() + "%eth1", port6, "", "no"},
			{w.a, "127.0.0.1", port4, "", "no"},
		})
	})
	t.Run("calls from the primary", func(t *testing.T) {
		w.calls(t, []wildcardCall{{w.a, w.bAt, port4, "0.0.0.0:0", w.aAt}, {w.a, w.bAt, port6, "0.0.0.0:0", w.aAt}})
	})
	t.Run("bound to nothing, calls from the interface's", func(t *testing.T) {
		w.calls(t, []wildcardCall{{w.a, w.bAt, port4, "", w.aAt}, {w.a, w.bOnLAN, port4, "", w.aOnLAN}, {w.a, w.bOnLAN, port6, "", w.aOnLAN}})
	})
}
