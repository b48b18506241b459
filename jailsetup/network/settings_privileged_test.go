//go:build linux && privileged

package network

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// Settings change: with jails on the network that is refused, without them the
// old one is replaced and leaves nothing.
func TestControlMoved(t *testing.T) {
	r := newRig(t)
	a := r.jail(1, "p/one")
	before := r.listing()
	moved, err := ControlIn(netip.MustParsePrefix("172.29.0.0/16"), 2)
	if err != nil {
		t.Fatal(err)
	}
	moved.RunDir, moved.Uplink = r.c.RunDir, "emuctl1"
	var inUse *InUseError
	if err := EnsureControl(r.ctx, moved); !errors.As(err, &inUse) {
		t.Errorf("moved with a jail on it: %v, want InUseError", err)
	}
	if diff := cmp.Diff(before, r.listing()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	a.kill()
	if err := EnsureControl(r.ctx, moved); err != nil {
		t.Fatal(err)
	}
	if left := strings.Join(r.listing(), "\n"); strings.Contains(left, "172.30") || strings.Contains(left, r.c.Uplink) {
		t.Errorf("old network left:\n%s", left)
	}
	r.c = moved
	r.unwind([]plan.Undo{must(HostControl{moved}.Undo())})
	if left := r.listing(); len(left) != 0 {
		t.Errorf("left: %s", strings.Join(left, "\n"))
	}
}

// The prefix is someone else's: the error names the route and the setting, and
// nothing is made.
func TestPrefixTaken(t *testing.T) {
	r := newRig(t)
	r.unwind(r.undo)
	before := hostState(t)
	for _, row := range []struct{ name, taken string }{
		{"inside the prefix", "172.30.200.0/24"},
		{"the prefix is inside", "172.16.0.0/12"},
		{"one address", "172.30.77.1/32"},
	} {
		t.Run(row.name, func(t *testing.T) {
			addHostRoute(t, row.taken)
			err := EnsureControl(r.ctx, r.c)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || !strings.Contains(err.Error(), row.taken) || !strings.Contains(err.Error(), "setting") {
				t.Errorf("error %v; want the route %s and the setting", err, row.taken)
			}
			free, err := FreePrefix(r.ctx, 16, r.c.Uplink)
			if err != nil || free.Contains(conflict.Route.Addr()) || conflict.Route.Contains(free.Addr()) {
				t.Errorf("free prefix %v, %v", free, err)
			}
		})
	}
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("host changed (-want +got):\n%s", diff)
	}
}

func addHostRoute(t *testing.T, dst string) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := net.ParseCIDR(dst)
	if err != nil {
		t.Fatal(err)
	}
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: n, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
			t.Error(err)
		}
	})
}

// A device of the uplink's name that isn't ours is left alone.
func TestUplinkNameTaken(t *testing.T) {
	r := newRig(t)
	r.unwind(r.undo)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = r.c.Uplink
	foreign := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(foreign); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(foreign) })
	err := EnsureControl(r.ctx, r.c)
	if err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("error %v", err)
	}
	if l, err := netlink.LinkByName(r.c.Uplink); err != nil || l.Type() != "bridge" {
		t.Errorf("foreign device: %v, %v", l, err)
	}
	if err := RemoveControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName(r.c.Uplink); err != nil {
		t.Errorf("foreign device is gone: %v", err)
	}
}
