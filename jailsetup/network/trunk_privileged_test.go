//go:build linux && privileged

package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// farJail is a jail on one of two hosts, with nothing but an interface on lan0.
type farJail struct {
	ns   *os.File
	addr netip.Addr
	undo []plan.Undo
	host *farHost
}

// farHost is one of the hosts: its namespace (nil: the tests' own) and its run
// directory.
type farHost struct {
	*rig
	ns     *os.File
	runDir string
	trunk  Trunk
}

// on does a step as this host.
func (h *farHost) on(s plan.Step, st *plan.State, log *[]plan.Undo) {
	h.t.Helper()
	h.at(h.ns, func() error {
		h.do(s, st, log)
		return nil
	})
}

// knows puts one more host into the list of the site file.
func (h *farHost) knows(other netip.Addr) {
	h.trunk.Peers = append(h.trunk.Peers, other)
	h.trunk.Hosts = h.trunk.Peers
}

func (h *farHost) jail(n byte, experiment, lan string) *farJail {
	h.t.Helper()
	j := &farJail{ns: newNS(h.t), addr: netip.AddrFrom4([4]byte{10, 1, 1, n}), host: h}
	h.t.Cleanup(j.kill)
	st := &plan.State{NetNS: j.ns}
	h.on(Inside{IDBase: 1_000_000}, st, &j.undo)
	h.on(ExperimentNamespace{RunDir: h.runDir, Experiment: experiment}, st, &j.undo)
	h.on(ExperimentLink{
		RunDir: h.runDir, Experiment: experiment, LAN: lan, VNode: fmt.Sprintf("pcvm1-%d", n), Name: "eth1", Index: 1,
		MAC: lanMAC(n), Addrs: []netip.Prefix{netip.PrefixFrom(j.addr, 24)}, MTU: 1450, Trunk: h.trunk, Generation: 1, Group: 100 + uint32(n),
	}, st, &j.undo)
	return j
}

func (j *farJail) kill() {
	j.host.at(j.host.ns, func() error {
		j.ns.Close()
		j.host.unwind(j.undo)
		return nil
	})
	j.undo = nil
}

// twoHosts are joined by a network of their own.
func twoHosts(t *testing.T) (a, b *farHost) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx}
	other := newNS(t)
	hostLoopbackUp(t)
	addrA, addrB := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	addUplink(t, "nic0", addrA, addrB, other)
	dir := t.TempDir()
	a = &farHost{r, nil, filepath.Join(dir, "a"), Trunk{Local: addrA, Peers: []netip.Addr{addrB}, Hosts: []netip.Addr{addrB}}}
	b = &farHost{r, other, filepath.Join(dir, "b"), Trunk{Peers: []netip.Addr{addrA}, Hosts: []netip.Addr{addrA}}}
	return a, b
}

// A LAN with members on two hosts is one LAN: whole frames cross, whoever
// booted first.
func TestTrunk(t *testing.T) {
	a, b := twoHosts(t)
	one, two, three := a.jail(1, "p/one", "lan0"), b.jail(2, "p/one", "lan0"), b.jail(3, "p/one", "lan0")
	elsewhere := b.jail(4, "p/two", "lan0")
	other := b.jail(5, "p/one", "lan1")
	for _, j := range []*farJail{one, two, three, elsewhere, other} {
		a.listen(j.ns, j.addr, 5000)
	}
	for _, row := range []struct {
		name     string
		from, to *farJail
		ok       bool
	}{
		{"to the other host", one, two, true},
		{"to another jail there", one, three, true},
		{"back", two, one, true},
		{"on one host", two, three, true},
		{"another experiment's LAN of that name", one, elsewhere, false},
		{"another LAN", one, other, false},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			if err := a.try(row.from.ns, proto, row.to.addr, 5000); (err == nil) != row.ok {
				t.Errorf("%s, %s: %v", row.name, proto, err)
			}
		}
	}
	// A frame of the whole MTU isn't cut or lost.
	w, seen := a.wire(one.ns, "eth1"), b.wire(two.ns, "eth1")
	mark := "<" + strings.Repeat("x", 1400) + ">"
	w.send(ethernet(lanMAC(2), lanMAC(1), 0x0800, udp4(one.addr, two.addr, 99, 99, mark)))
	if !seen.sees(mark) {
		t.Error("a frame of the whole MTU doesn't arrive")
	}
	// What one can't say at home one can't say abroad (T17).
	w.send(ethernet(lanMAC(2), lanMAC(9), 0x0800, udp4(one.addr, two.addr, 99, 99, "<foreign MAC>")))
	if seen.sees("<foreign MAC>") {
		t.Error("a frame with a foreign MAC arrives at the other host")
	}
}

// A LAN that reaches one host of several, as a carried tunnel does, takes
// nothing from the LANs that reach them all.
func TestTrunkOfTwo(t *testing.T) {
	a, b := twoHosts(t)
	third := netip.MustParseAddr("192.0.2.9") // is silent
	a.knows(third)
	one, two := a.jail(1, "p/one", "lan0"), b.jail(2, "p/one", "lan0")
	a.trunk.Peers = []netip.Addr{third}
	a.jail(3, "p/one", "tunnel600")
	w, seen := b.wire(two.ns, "eth1"), a.wire(one.ns, "eth1")
	w.send(ethernet(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, lanMAC(2), 0x0800, udp4(two.addr, one.addr, 99, 99, "<of the second>")))
	if !seen.sees("<of the second>") {
		t.Error("with a tunnel to the third host, frames of the second host's are dropped")
	}
}

// Only the peers can send into a LAN: a host that isn't one speaks to a closed
// door, with the right network id too.
func TestTrunkStranger(t *testing.T) {
	a, b := twoHosts(t)
	one := a.jail(1, "p/one", "lan0")
	a.listen(one.ns, one.addr, 5000)
	// Host b takes another address, which a doesn't know.
	err := withRoutes(b.ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName("out0")
		if err != nil {
			return err
		}
		return addAddress(h, l, netip.MustParsePrefix("192.0.2.3/24"))
	})
	if err != nil {
		t.Fatal(err)
	}
	b.trunk.Local = netip.MustParseAddr("192.0.2.3")
	two := b.jail(2, "p/one", "lan0")
	w, seen := b.wire(two.ns, "eth1"), a.wire(one.ns, "eth1")
	send := func(mark string) bool {
		w.send(ethernet(MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, lanMAC(2), 0x0800, udp4(two.addr, one.addr, 99, 99, mark)))
		return seen.sees(mark)
	}
	if send("<stranger>") {
		t.Error("a frame of a host that is no peer arrives")
	}
	// With the wall taken away it does.
	if err := put([]entries{{peersSet(), peerElements(b.trunk.Local)}}); err != nil {
		t.Fatal(err)
	}
	if !send("<peer>") {
		t.Error("a frame of a peer doesn't arrive")
	}
}

// The trunk goes with the last jail of its LAN on this host, and the table with
// the last trunk. All may be repeated, as after kill -9.
func TestTrunkUndo(t *testing.T) {
	a, _ := twoHosts(t)
	list := func() string {
		lines, err := Listing(a.ctx, a.runDir)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	before := tableLines(t)
	one, two := a.jail(1, "p/one", "lan0"), a.jail(2, "p/one", "lan0")
	if n := strings.Count(list(), "link vx-"); n != 1 {
		t.Errorf("%d trunks for two jails of a LAN", n)
	}
	a.knows(netip.MustParseAddr("192.0.2.9"))
	three := a.jail(3, "p/one", "lan0") // the site file has changed
	one.kill()
	two.kill()
	if !strings.Contains(list(), "link vx-") {
		t.Error("the trunk is gone before its last jail")
	}
	again := append([]plan.Undo(nil), three.undo...)
	three.kill()
	a.unwind(again)
	if left := list(); left != "" {
		t.Errorf("left:\n%s", left)
	}
	if now := tableLines(t); now != before {
		t.Errorf("tables\n%s, before\n%s", now, before)
	}
}

func tableLines(t *testing.T) string {
	t.Helper()
	lines, err := setLines()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
