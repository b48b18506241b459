//go:build linux && privileged

package e2e

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// relay stands between the host and tmcd-mock, which grants every bit, as
// Emulab does: it says of each vnode what the test wants to be said.
type relay struct {
	t    *testing.T
	to   string
	bits map[string]map[string]string // vnode → key of jailconfig → value
}

const relayPort = 7788

func (r *rig) startRelay(bits map[string]map[string]string) (stop func()) {
	r.t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(r.host, relayPort).String())
	if err != nil {
		r.t.Fatal(err)
	}
	y := &relay{r.t, netip.AddrPortFrom(r.host, tmcdPort).String(), bits}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go y.serve(c.(*net.TCPConn))
		}
	}()
	return func() { l.Close() }
}

func (y *relay) serve(c *net.TCPConn) {
	defer c.Close()
	up, err := net.Dial("tcp", y.to)
	if err != nil {
		y.t.Error(err)
		return
	}
	defer up.Close()
	request := make([]byte, 32768)
	n, err := c.Read(request)
	if err != nil {
		return
	}
	request = request[:n]
	_, err = up.Write(request)
	if err == nil {
		err = up.(*net.TCPConn).CloseWrite()
	}
	reply, readErr := io.ReadAll(up)
	if err = errors.Join(err, readErr); err != nil {
		return
	}
	for vnode, bits := range y.bits {
		if bytes.Contains(request, []byte("="+vnode+" ")) {
			for key, value := range bits {
				reply = set1(reply, key, value)
			}
		}
	}
	_, _ = c.Write(reply)
}

// set1 changes a line KEY=value.
func set1(reply []byte, key, value string) []byte {
	lines := strings.Split(string(reply), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, key+"=") {
			lines[i] = key + "=" + value
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// positions are what the relay is to say of a vnode: of SYSVIPC INETRAW BPFRO
// INADDRANY IPFW IPDIVERT ROUTING DEVMEM, in this order.
func positions(values string) map[string]string {
	said := map[string]string{}
	for i, name := range strings.Fields("SYSVIPC INETRAW BPFRO INADDRANY IPFW IPDIVERT ROUTING DEVMEM") {
		said[name] = values[i : i+1]
	}
	return said
}

// newRelayRig is a rig whose host asks tmcd by the relay.
func newRelayRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, set{plain: true, noServe: true, noMock: true})
	r.edit("site.yaml", "boss: "+netip.AddrPortFrom(r.host, tmcdPort).String(), "boss: "+netip.AddrPortFrom(r.host, relayPort).String())
	r.startServe()
	r.startMock()
	return r
}

// What becomes of an attempt.
const (
	denied  = "operation not permitted"
	none    = "no such file or directory"
	absent  = "function not implemented"
	primary = "(the primary address)"
	asHere  = "(what becomes of it here)" // for what not every kernel has
)

// Each permission bit of jailconfig in both positions, and those that pull at
// the same capability each without the other; and what the log says of those that
// can't be as boss wants them. Beside IPFW=0, ROUTING=1 gives the shaper: no
// system call tells it from routes (spec/linux.md §5).
func TestPermissionBits(t *testing.T) {
	r := newRelayRig(t)
	a, b := r.vnodes[0], r.vnodes[1]
	said := map[string]map[string]string{}
	attempts := strings.Fields("SYSVIPC INETRAW BPFRO INADDRANY IPFW    IPTABLES NFQUEUE ROUTING ROUTE   SHAPER  MROUTE DEVMEM")
	rounds := []struct {
		vnode, values string
		want          []string // of the attempts
	}{
		{a, "00000000", []string{absent, denied, denied, primary, denied, denied, denied, denied, denied, denied, denied, none}},
		{b, "11111111", []string{"yes", "yes", "yes", "yes", "yes", asHere, asHere, "yes", "yes", "yes", asHere, none}},
		{a, "01001000", []string{absent, "yes", denied, primary, denied, denied, denied, denied, denied, denied, denied, none}}, // IPFW alone: the stricter wins
		{b, "00100010", []string{absent, denied, "yes", primary, denied, denied, denied, "yes", "yes", "yes", denied, none}},
		{a, "01000010", []string{absent, "yes", denied, primary, denied, denied, denied, "yes", "yes", "yes", asHere, none}},
	}
	for _, round := range rounds {
		t.Run(round.values, func(t *testing.T) {
			said[round.vnode] = positions(round.values)
			stop := r.startRelay(said)
			defer stop()
			before := len(r.read("jailsetup.log"))
			r.must("boot", round.vnode)
			defer func() { r.must("kill", round.vnode) }()
			r.refusalsLogged(t, round.vnode, said[round.vnode], r.read("jailsetup.log")[before:])
			inside := r.putInside(round.vnode, "inside")
			for i, name := range attempts {
				want := round.want[i]
				switch want {
				case primary:
					j, _ := r.info(round.vnode)
					want = j.Address
				case asHere:
					want = strings.TrimSpace(r.run("inside", "bit", name).stdout)
				}
				if got := strings.TrimSpace(r.enter(round.vnode, inside, "bit", name)); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			// sshd names its addresses: INADDRANY decides nothing for it.
			j, _ := r.info(round.vnode)
			experiments := map[string]string{a: "10.1.1.2:22", b: "10.1.1.3:22"}
			r.sshdListens(round.vnode, j.Address+":22", experiments[round.vnode])
			if said[round.vnode]["IPFW"] == "1" && said[round.vnode]["ROUTING"] == "1" {
				t.Run("a rule lasts as long as its jail", func(t *testing.T) { r.ruleInside(t, round.vnode, inside) })
			}
		})
	}
}

// refusalsLogged compares what the log says of bits that aren't as boss wants them.
func (r *rig) refusalsLogged(t *testing.T, vnode string, said map[string]string, log string) {
	t.Helper()
	is := func(values string, names ...string) bool {
		for i, name := range names {
			if said[name] != values[i:i+1] {
				return false
			}
		}
		return true
	}
	for words, want := range map[string]bool{
		"DEVMEM=1 is refused":      is("1", "DEVMEM"),
		"IPDIVERT=1 is refused":    is("1", "IPDIVERT"),
		"IPDIVERT=0 beside IPFW=1": is("011", "IPDIVERT", "IPFW", "ROUTING"),
		"IPFW=1 beside ROUTING=0":  is("10", "IPFW", "ROUTING"),
		"IPFW=0 beside ROUTING=1":  is("01", "IPFW", "ROUTING"),
	} {
		logged := false
		for line := range strings.Lines(log) {
			logged = logged || strings.Contains(line, words) && strings.Contains(line, "vnode="+vnode)
		}
		if logged != want {
			t.Errorf("%q is logged: %t, want %t, in\n%s", words, logged, want, log)
		}
	}
}

// ruleInside: a rule of the jail's root holds what comes for the jail, and goes
// with the jail.
func (r *rig) ruleInside(t *testing.T, vnode, inside string) {
	const port = "7009"
	j, _ := r.info(vnode)
	at := net.JoinHostPort(j.Address, port)
	answers := func() {
		t.Helper()
		r.inBackground(vnode, inside, "answer", "tcp4", "0.0.0.0:"+port)
		r.await("an answer from "+at, func() error {
			if got := r.callFrom("", "tcp4", at); got == "no" {
				return errors.New("none")
			}
			return nil
		})
	}
	answers()
	r.enter(vnode, inside, "drop", port)
	if got := r.callFrom("", "tcp4", at); got != "no" {
		t.Errorf("a port whose packets the jail drops answers %q", got)
	}
	r.must("reboot", vnode)
	answers()
}
