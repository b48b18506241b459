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

// Each permission bit of jailconfig in both positions, and those that pull at
// the same capability each without the other.
func TestPermissionBits(t *testing.T) {
	r := newRig(t, set{plain: true, noServe: true, noMock: true})
	r.edit("site.yaml", "boss: "+netip.AddrPortFrom(r.host, tmcdPort).String(), "boss: "+netip.AddrPortFrom(r.host, relayPort).String())
	r.startServe()
	a, b := r.vnodes[0], r.vnodes[1]
	bits := map[string]map[string]string{}
	names := []string{"SYSVIPC", "INETRAW", "BPFRO", "INADDRANY", "IPFW", "IPDIVERT", "ROUTING", "DEVMEM"}
	position := func(vnode, values string) {
		bits[vnode] = map[string]string{}
		for i, name := range names {
			bits[vnode][name] = values[i : i+1]
		}
	}
	const denied, none, absent = "operation not permitted", "no such file or directory", "function not implemented"
	rounds := []struct {
		vnode, values string
		want          []string // of SYSVIPC INETRAW BPFRO INADDRANY IPFW ROUTING DEVMEM
	}{
		{a, "00000000", []string{absent, denied, denied, "", denied, denied, none}},
		{b, "11111111", []string{"yes", "yes", "yes", "yes", "yes", "yes", none}},
		{a, "01001000", []string{absent, "yes", denied, "", denied, denied, none}}, // IPFW alone: the stricter wins
		{b, "00100010", []string{absent, denied, "yes", "", denied, "yes", none}},
	}
	r.startMock()
	for _, round := range rounds {
		t.Run(round.values, func(t *testing.T) {
			position(round.vnode, round.values)
			stop := r.startRelay(bits)
			defer stop()
			r.must("boot", round.vnode)
			defer r.must("kill", round.vnode)
			inside := r.putInside(round.vnode, "inside")
			for i, name := range []string{"SYSVIPC", "INETRAW", "BPFRO", "INADDRANY", "IPFW", "ROUTING", "DEVMEM"} {
				want := round.want[i]
				if want == "" { // the primary address
					j, _ := r.info(round.vnode)
					want = j.Address
				}
				if got := strings.TrimSpace(r.enter(round.vnode, inside, "bit", name)); got != want {
					t.Errorf("%s=%s: %q, want %q", name, bits[round.vnode][name], got, want)
				}
			}
			log := r.read("jailsetup.log")
			for _, name := range []string{"DEVMEM", "IPDIVERT"} {
				said := strings.Contains(log, name+"=1 is refused") && strings.Contains(log, round.vnode)
				if bits[round.vnode][name] == "1" && !said {
					t.Errorf("%s=1: no word of it in the log", name)
				}
			}
		})
	}
}
