//go:build linux && privileged

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"emujail/jailsetup/plan"
)

// hostState is what the host's own tools would show: links, routes, mounts.
func hostState(t *testing.T) []string {
	t.Helper()
	var lines []string
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		lines = append(lines, "link "+l.Attrs().Name)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		lines = append(lines, "route "+r.String())
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return append(lines, strings.Split(string(mounts), "\n")...)
}

// Whoever boots and kills jails finds the host as it was.
func TestTeardownLeavesNothing(t *testing.T) {
	hostLoopbackUp(t)
	before := hostState(t)
	r := newRig(t)
	empty := r.listing()
	a := r.jail(1, "p/one")
	one := r.listing()
	b := r.jail(2, "p/one")
	other := r.jail(3, "p/two")
	other.kill()
	b.kill()
	if diff := cmp.Diff(one, r.listing()); diff != "" {
		t.Errorf("second and third jail left (-want +got):\n%s", diff)
	}
	var inUse *InUseError
	if err := RemoveControl(r.ctx, r.c); !errors.As(err, &inUse) {
		t.Errorf("remove with a jail on it: %v, want InUseError", err)
	}
	a.kill()
	if diff := cmp.Diff(empty, r.listing()); diff != "" {
		t.Errorf("jails left (-want +got):\n%s", diff)
	}
	r.unwind(r.undo)
	if left := r.listing(); len(left) != 0 {
		t.Errorf("left: %s", strings.Join(left, "\n"))
	}
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("host changed (-want +got):\n%s", diff)
	}
}

// Whatever step a boot dies in, its undo log leads back; and every step may be
// done again where the dead process left off.
func TestCrashAtEachStep(t *testing.T) {
	r := newRig(t)
	empty := r.listing()
	full := r.jail(1, "p/one")
	want := r.listing()
	full.kill()

	for cut := 0; cut <= len(full.steps(1, "p/one")); cut++ {
		j := r.prepare(1, 1)
		steps := j.steps(1, "p/one")
		for _, s := range steps[:cut] {
			r.do(s, &plan.State{NetNS: j.ns}, &j.undo)
		}
		if cut < len(steps) { // the next one's undo is recorded, its deed isn't done
			undos, err := steps[cut].Undo()
			if err != nil {
				t.Fatal(err)
			}
			j.undo = append(j.undo, undos...)
		}
		r.unwind(j.undo)
		r.unwind(j.undo)
		if diff := cmp.Diff(empty, r.listing()); diff != "" {
			t.Fatalf("unwound after step %d (-want +got):\n%s", cut, diff)
		}
		for range 2 { // repeated as a whole
			for _, s := range steps {
				r.do(s, &plan.State{NetNS: j.ns}, &j.undo)
			}
		}
		if diff := cmp.Diff(want, r.listing()); diff != "" {
			t.Fatalf("done again after step %d (-want +got):\n%s", cut, diff)
		}
		j.kill()
	}
}

// EnsureControl under running jails: ports follow the settings, jails don't
// notice, a lost uplink is made anew.
func TestEnsureControlAgain(t *testing.T) {
	r := newRig(t)
	a, b := r.jail(1, "p/one"), r.jail(2, "p/one")
	r.listen(b.ns, b.addr, 22)
	r.listen(nil, r.c.Host, 8080)
	before := r.listing()
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.listing()); diff != "" {
		t.Errorf("ensured again (-want +got):\n%s", diff)
	}
	if err := AddHostPort(r.ctx, r.c, Port{UDP, 53}); err != nil {
		t.Fatal(err)
	}
	r.c.HostPorts = []Port{{TCP, 8080}, {TCP, 80}}
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	got, err := ListHostPorts(r.ctx, r.c)
	if want := []Port{{TCP, 80}, {TCP, 8080}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("host ports %v, %v; want %v", got, err, want)
	}
	uplink, err := netlink.LinkByName(r.c.Uplink)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(uplink); err != nil {
		t.Fatal(err)
	}
	if err := r.tcp(a.ns, r.c.Host, 8080); err == nil {
		t.Error("reached the host without an uplink")
	}
	if err := EnsureControl(r.ctx, r.c); err != nil {
		t.Fatal(err)
	}
	if err := r.tcp(a.ns, r.c.Host, 8080); err != nil {
		t.Errorf("listed port: %v", err)
	}
	if err := r.tcp(a.ns, b.addr, 22); err != nil {
		t.Errorf("sibling: %v", err)
	}
}

// A look at the uplink that goes wrong is an error: jails that run keep it.
func TestUplinkUnseen(t *testing.T) {
	r := newRig(t)
	ns, err := openPin(r.c.RunDir, controlPin)
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Close(); err != nil { // nobody can look into it
		t.Fatal(err)
	}
	if err := ensureUplink(r.ctx, r.c, ns); err == nil {
		t.Error("nobody could look at the uplink, which is called fine")
	}
	if _, err := netlink.LinkByName(r.c.Uplink); err != nil {
		t.Errorf("the uplink that stood: %v", err)
	}
}

// A hundred boots at once is what a host has to bear (T33); eight suffice to
// show that nobody gets in another's way.
func TestBootsAtOnce(t *testing.T) {
	r := newRig(t)
	empty := r.listing()
	var jails []*testJail
	for n := byte(1); n <= 8; n++ {
		jails = append(jails, r.prepare(n, 1))
	}
	var wg sync.WaitGroup
	failed := make(chan error, 3*len(jails))
	for round := range 3 {
		for i, j := range jails {
			wg.Go(func() { failed <- bootAndKill(r.ctx, j, byte(i+1), round < 2) })
		}
		wg.Wait()
	}
	close(failed)
	for err := range failed {
		if err != nil {
			t.Error(err)
		}
	}
	r.listen(jails[7].ns, jails[7].lan, 5000)
	if err := r.tcp(jails[0].ns, jails[7].lan, 5000); err != nil {
		t.Errorf("first to last: %v", err)
	}
	for _, j := range jails {
		j.kill()
	}
	if diff := cmp.Diff(empty, r.listing()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func bootAndKill(ctx context.Context, j *testJail, n byte, kill bool) error {
	j.undo = nil
	for _, s := range j.steps(n, "p/one") {
		undos, err := s.Undo()
		if err != nil {
			return err
		}
		j.undo = append(j.undo, undos...)
		if err := s.Do(ctx, &plan.State{NetNS: j.ns}); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	for i := len(j.undo) - 1; kill && i >= 0; i-- {
		if err := Undo(ctx, j.undo[i]); err != nil {
			return fmt.Errorf("undo %s: %w", j.undo[i].Kind, err)
		}
	}
	return nil
}

// Kill, then boot of the same id at once: names never meet (T22). The neighbour
// keeps its interface as it is (T19).
func TestRebootAtOnce(t *testing.T) {
	r := newRig(t)
	b := r.jail(2, "p/one")
	r.listen(b.ns, b.lan, 5000)
	before := insideState(t, b.ns, "eth1")
	for gen := uint64(1); gen <= 10; gen++ {
		a := r.boot(1, "p/one", gen)
		if err := r.tcp(a.ns, b.lan, 5000); err != nil {
			t.Fatalf("generation %d: %v", gen, err)
		}
		a.kill()
	}
	if diff := cmp.Diff(before, insideState(t, b.ns, "eth1")); diff != "" {
		t.Errorf("neighbour's interface (-want +got):\n%s", diff)
	}
}

func insideState(t *testing.T, ns *os.File, dev string) []string {
	t.Helper()
	var lines []string
	err := withRoutes(ns, func(h *netlink.Handle) error {
		l, err := h.LinkByName(dev)
		if err != nil {
			return err
		}
		lines, err = linkLines(h, l)
		lines = append(lines, l.Attrs().Flags.String(), net.HardwareAddr(l.Attrs().HardwareAddr).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// A jail that vanishes takes its links along while the undo runs: both ways
// lead to the same end.
func TestKillWhileNamespaceDies(t *testing.T) {
	r := newRig(t)
	empty := r.listing()
	for range 5 {
		j := r.jail(1, "p/one")
		j.ns.Close() // the last user: the kernel begins to clean up
		j.kill()
		if diff := cmp.Diff(empty, r.listing()); diff != "" {
			t.Fatalf("left (-want +got):\n%s", diff)
		}
	}
}

// A jail with twenty links and an id of 30 characters (T20); all links of a
// namespace go in one message.
func TestManyLinks(t *testing.T) {
	r := newRig(t)
	empty := r.listing()
	j := r.prepare(1, 7)
	j.vnode = strings.Repeat("a", 30)
	r.do(Inside{IDBase: 1_000_000}, &plan.State{NetNS: j.ns}, &j.undo)
	r.do(j.controlLink("p/one"), &plan.State{NetNS: j.ns}, &j.undo)
	r.do(ExperimentNamespace{RunDir: r.c.RunDir, Experiment: "p/one"}, &plan.State{NetNS: j.ns}, &j.undo)
	for i := 1; i <= 20; i++ {
		r.do(ExperimentLink{
			RunDir: r.c.RunDir, Experiment: "p/one", LAN: "lan" + digits36(uint64(i), 1), VNode: j.vnode,
			Name: "eth" + digits36(uint64(i), 1), Index: i, MAC: MAC{2, 0, 10, byte(i), 1, 1}, Generation: 7, Group: 9,
		}, &plan.State{NetNS: j.ns}, &j.undo)
	}
	// The links of another jail in a group of the same number stay.
	k := r.prepare(2, 1)
	other := ExperimentLink{
		RunDir: r.c.RunDir, Experiment: "p/one", LAN: "lan1", VNode: "pcvm1-2", Name: "eth1", Index: 1,
		MAC: lanMAC(2), Generation: 1, Group: 9,
	}
	r.do(other, &plan.State{NetNS: k.ns}, &k.undo)
	r.unwind(j.undo[1:2]) // not first, so that the group is mixed
	insideState(t, k.ns, "eth1")
	j.kill()
	insideState(t, k.ns, "eth1")
	k.kill()
	r.unwind([]plan.Undo{must(ExperimentNamespace{RunDir: r.c.RunDir, Experiment: "p/one"}.Undo())})
	if diff := cmp.Diff(empty, r.listing()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func must(undos []plan.Undo, err error) plan.Undo {
	if err != nil {
		panic(err)
	}
	return undos[0]
}
