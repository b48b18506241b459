//go:build linux && privileged

package network

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// From a jail the host's own addresses, other loopbacks and the metadata
// address answer on listed ports only (S30): even with a service on each.
func TestHostAddressesFromJail(t *testing.T) {
	r := newRig(t)
	r.c.HostPorts = []Port{{TCP, 8080}}
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	a := r.jail(1, "p/one")
	metadata, other := netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("192.0.2.7")
	for _, addr := range []netip.Addr{metadata, other} {
		addHostAddress(t, addr)
	}
	any4 := netip.IPv4Unspecified()
	r.listen(nil, any4, 8080)
	r.listen(nil, any4, 2222)
	for _, row := range []struct {
		name string
		addr netip.Addr
		port uint16
		ok   bool
	}{
		{"control address, listed", r.c.Host, 8080, true},
		{"control address, not listed", r.c.Host, 2222, false},
		{"another address of the host", other, 8080, false},
		{"metadata address", metadata, 8080, false},
		{"gateway", r.c.Gateway, 8080, false},
		{"loopback", netip.MustParseAddr("127.0.0.1"), 8080, false},
		{"every prefix's broadcast", netip.MustParseAddr("172.30.255.255"), 8080, false},
	} {
		err := r.tcp(a.ns, row.addr, row.port)
		if (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
		if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
			t.Errorf("%s: %v: a jail's programs would hang", row.name, err)
		}
	}
	// A detour: the jail's root sends what no route leads to, by the gateway.
	w := r.wire(a.ns, "eth0")
	host := r.wire(nil, r.c.Uplink)
	for i, dst := range []netip.Addr{metadata, other, netip.MustParseAddr("127.0.0.1"), r.c.Host} {
		mark := fmt.Sprintf("<detour %d>", i)
		w.send(ethernet(ControlMAC(r.c.Gateway), ControlMAC(a.addr), 0x0800, udp4(a.addr, dst, 99, 8080, mark)))
		if host.sees(mark) {
			t.Errorf("packet to %s came out at the host", dst)
		}
	}
}

func addHostAddress(t *testing.T, a netip.Addr) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	addr := &netlink.Addr{IPNet: hostNet(a)}
	if err := netlink.AddrAdd(lo, addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.AddrDel(lo, addr) })
}

// A host like one with Docker: it forwards nothing, and bridged frames walk its
// IP hooks. Jails don't notice.
func TestHostThatForwardsNothing(t *testing.T) {
	dropForwarding(t)
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	r.listen(b.ns, netip.IPv4Unspecified(), 5000)
	for _, row := range []struct {
		name string
		ns   *os.File
		addr netip.Addr
	}{
		{"host to jail", nil, b.addr},
		{"sibling by the control network", a.ns, b.addr},
		{"sibling by the LAN", a.ns, b.lan},
	} {
		if err := r.tcp(row.ns, row.addr, 5000); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if err := r.udp(row.ns, row.addr, 5000); err != nil && row.ns == nil {
			t.Errorf("%s, UDP: %v", row.name, err)
		}
	}
}

func dropForwarding(t *testing.T) {
	t.Helper()
	writeSysctls([]sysctl{{"bridge/bridge-nf-call-iptables", "1", true}, {"ipv4/ip_forward", "1", false}})
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	policy := nftables.ChainPolicyDrop
	table := conn.AddTable(&nftables.Table{Name: "docker-like", Family: nftables.TableFamilyIPv4})
	conn.AddChain(&nftables.Chain{
		Table: table, Name: "FORWARD", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.DelTable(table)
		if err := conn.Flush(); err != nil {
			t.Error(err)
		}
	})
}

// Closing a port cuts the connections that jails have to it, and the next
// owner of an address doesn't inherit the last one's.
func TestPortClosedUnderConnection(t *testing.T) {
	r := newRig(t)
	r.c.HostPorts = []Port{{TCP, 7000}}
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	a := r.jail(1, "p/one")
	l, err := net.Listen("tcp", netip.AddrPortFrom(r.c.Host, 7000).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var c net.Conn
	r.at(a.ns, func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), time.Second)
		return err
	})
	t.Cleanup(func() { c.Close() })
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	say := func(what string) error {
		peer.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
		if _, err := io.WriteString(c, what); err != nil {
			return err
		}
		_, err := io.ReadFull(peer, make([]byte, len(what)))
		return err
	}
	if err := say("open"); err != nil {
		t.Fatalf("open port: %v", err)
	}
	if err := RemoveHostPort(r.ctx, r.c, Port{TCP, 7000}); err != nil {
		t.Fatal(err)
	}
	if err := say("closed"); err == nil {
		t.Error("the connection goes on after the port was closed")
	}
}

// One jail can't fill the router's table of connections (T16).
func TestConnectionLimit(t *testing.T) {
	r := newRig(t)
	r.c.HostPorts = []Port{{TCP, 7000}}
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	a, b := r.jail(1, "p/one"), r.jail(2, "p/two")
	l, err := net.Listen("tcp", netip.AddrPortFrom(r.c.Host, 7000).String())
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Conn
	t.Cleanup(func() {
		l.Close()
		for _, c := range open {
			c.Close()
		}
	})
	const forSure = 10 * time.Second // where a connection is wanted
	dial := func(j *testJail, limit time.Duration) (c net.Conn, err error) {
		r.at(j.ns, func() error {
			c, err = net.DialTimeout("tcp", l.Addr().String(), limit)
			return nil
		})
		return c, err
	}
	for range maxConnections {
		c, err := dial(a, forSure)
		if err != nil {
			t.Fatalf("connection %d: %v", len(open)+1, err)
		}
		open = append(open, c)
	}
	if c, err := dial(a, patience); err == nil {
		c.Close()
		t.Errorf("connection %d went through", maxConnections+1)
	}
	c, err := dial(b, forSure)
	if err != nil {
		t.Fatalf("another jail: %v", err)
	}
	open = append(open, c)
}

// Inside, all is as tmcd said and as a jail with a read-only /proc/sys needs it.
func TestInside(t *testing.T) {
	r := newRig(t)
	j := r.prepare(1, 1)
	st := &plan.State{NetNS: j.ns}
	for _, s := range []plan.Step{
		Inside{IDBase: 1_000_000, PortLow: 3000, PortHigh: 3255, Forward: true},
		j.controlLink("p/one"),
		ExperimentLink{
			RunDir: r.c.RunDir, Experiment: "p/one", LAN: "lan0", VNode: j.vnode, Name: "eth1", Index: 1, MTU: 1400,
			MAC: MAC{0, 0, 10, 1, 1, 2}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.1.2/24"), netip.MustParsePrefix("10.1.2.2/24")}, Generation: 1,
		},
	} {
		r.do(s, st, &j.undo)
	}
	r.undo = append(r.undo, must(ExperimentNamespace{RunDir: r.c.RunDir, Experiment: "p/one"}.Undo()))
	for _, row := range []struct{ path, want string }{
		{"ipv4/ping_group_range", "1000000 1065535"},
		{"ipv4/ip_local_port_range", "3000 3255"},
		{"ipv4/ip_forward", "1"},
		{"ipv6/conf/eth0/disable_ipv6", "1"},
		{"ipv6/conf/eth1/accept_ra", "0"},
		{"ipv4/conf/all/arp_announce", "2"},
	} {
		r.at(j.ns, func() error {
			b, err := os.ReadFile(filepath.Join("/proc/sys/net", row.path))
			if got := strings.Join(strings.Fields(string(b)), " "); got != row.want {
				t.Errorf("%s is %q, want %q", row.path, got, row.want)
			}
			return err
		})
	}
	err := withRoutes(j.ns, func(h *netlink.Handle) error {
		for _, row := range []struct{ dev, mac string }{{"eth0", "02:45:ac:1e:01:01"}, {"eth1", "00:00:0a:01:01:02"}} {
			l, err := h.LinkByName(row.dev)
			if err != nil {
				return err
			}
			if got := l.Attrs().HardwareAddr.String(); got != row.mac {
				t.Errorf("%s has MAC %s, want %s", row.dev, got, row.mac)
			}
			if l.Attrs().Flags&net.FlagUp == 0 {
				t.Errorf("%s is down", row.dev)
			}
			if want := map[string]int{"eth0": 1500, "eth1": 1400}[row.dev]; l.Attrs().MTU != want {
				t.Errorf("%s has MTU %d, want %d", row.dev, l.Attrs().MTU, want)
			}
		}
		routes, err := h.RouteGet(netip.MustParseAddr("203.0.113.9").AsSlice())
		if err != nil || len(routes) != 1 || !routes[0].Gw.Equal(r.c.Gateway.AsSlice()) || !routes[0].Src.Equal(j.addr.AsSlice()) {
			t.Errorf("default route %v, %v", routes, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"address 10.1.1.2/24 dev eth1", "address 10.1.2.2/24 dev eth1", "link eth1 () 00:00:0a:01:01:02",
	}
	got := strings.Join(insideState(t, j.ns, "eth1"), "\n")
	for _, line := range want {
		if !strings.Contains(got, line) {
			t.Errorf("eth1 lacks %q:\n%s", line, got)
		}
	}
}
