//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"emujail/jailsetup/shape"
)

// shapedTestbed delays node-a's end of lan0: 20 ms out and 10 ms in.
const shapedTestbed = `
rows:
  linkdelays:
    - {node_id: pc1, iface: eth2, ip: 10.1.1.2, netmask: 255.255.255.0, type: duplex, exptidx: 100, eid: demo, pid: jails, vlan: lan0,
       vnode: node-a, pipe: 100, delay: "20.00", bandwidth: 100000, lossrate: "0.00000000",
       rpipe: 110, rdelay: "10.00", rbandwidth: 0, rlossrate: "0.00000000"}
`

// TestShape: links are shaped from the first packet on as tmcd says, change
// while jails run, and outlive every process of ours.
func TestShape(t *testing.T) {
	r := newRig(t, set{testbed: shapedTestbed})
	a, b := r.vnodes[0], r.vnodes[1]
	start, err := list()
	if err != nil {
		t.Fatal(err)
	}
	r.boot(a)
	r.boot(b)

	t.Run("as tmcd says", func(t *testing.T) {
		links := r.shape("demo")
		if len(links) != 2 {
			t.Fatalf("%d links, want both ends of lan0", len(links))
		}
		if got := links[0].Link.Shape; got.Out.String() != "rate=100Mb delay=20ms queue=50" || got.In.String() != "delay=10ms" {
			t.Errorf("node-a: out %q, in %q", got.Out, got.In)
		}
		if links[1].Link.Spliced {
			t.Error("node-b's end is shaped")
		}
		r.roundTrip(t, a, 30, 60)
	})
	t.Run("two changes at once", func(t *testing.T) {
		for i := range 5 {
			var both sync.WaitGroup
			for _, words := range []string{fmt.Sprintf("delay=%dms", 30+i), fmt.Sprintf("rate=%dMb", 50+i)} {
				both.Go(func() {
					if out := r.jailsetup("shape", "jails/demo", "lan0", "node-a", words); out.code != 0 {
						t.Errorf("%s: %v", words, out.err())
					}
				})
			}
			both.Wait()
			if got, want := r.shape("demo")[0].Link.Shape.Out.String(), fmt.Sprintf("rate=%dMb delay=%dms queue=50", 50+i, 30+i); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
	t.Run("changed while it runs", func(t *testing.T) {
		r.must("shape", "jails/demo", "lan0", "delay=25ms", "rate=10Mb")
		r.roundTrip(t, a, 50, 80)
		out := r.must("shape", "demo")
		for _, want := range []string{"lan0", "node-b", "rate=10Mb delay=25ms queue=50"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in:\n%s", want, out)
			}
		}
		r.must("shape", "demo", "lan0", "node-b", "out.none")
		r.roundTrip(t, a, 25, 50)
	})
	t.Run("after a kill of the supervisor", func(t *testing.T) {
		r.serve.kill()
		r.startServe()
		r.roundTrip(t, a, 25, 50)
		r.must("shape", "demo", "lan0", "delay=30ms")
		r.roundTrip(t, a, 60, 90)
	})
	t.Run("after a kill of the delay node", func(t *testing.T) {
		pids := delayNodes(t)
		if len(pids) == 0 {
			t.Fatal("there is no delay node")
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		r.await("the link", func() error { return r.jailsetup("enter", "-T", a, "ping", "-c1", "-W1", "10.1.1.3").err() })
		r.roundTrip(t, a, 60, 90)
	})
	t.Run("what can't be is refused", func(t *testing.T) {
		for _, tt := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"demo", "lan0", "delay=-1"}, 2, "want 0 to 10000 ms"},
			{[]string{"demo", "lan0", "red=on", "rate=none"}, 1, "needs a rate"},
			{[]string{"demo", "lan9", "delay=1"}, 1, "lan9: no such link in demo (there is lan0)"},
			{[]string{"demo", "lan0", "node-x", "delay=1"}, 1, "node-x: no such node on this host with demo lan0 (there are: node-a, node-b)"},
			{[]string{"other"}, 1, "other: no such experiment with links on this host (there is jails/demo)"},
		} {
			out := r.jailsetup(append([]string{"shape"}, tt.args...)...)
			if out.code != tt.code || !strings.Contains(out.stderr, tt.says) {
				t.Errorf("shape %v: exit code %d: %s", tt.args, out.code, out.stderr)
			}
		}
	})
	t.Run("nothing is left", func(t *testing.T) {
		r.must("kill", a)
		r.must("kill", b)
		if err := r.isAs(start); err != nil {
			t.Error(err)
		}
		r.await("the end of the delay node", func() error {
			if pids := delayNodes(t); len(pids) > 0 {
				return fmt.Errorf("%v go on without links", pids)
			}
			return nil
		})
	})
}

// TestShapeRefused: a link that can't be shaped fails the boot, and says which.
func TestShapeRefused(t *testing.T) {
	r := newRig(t, set{testbed: strings.Replace(shapedTestbed, `delay: "20.00"`, `delay: "20000.00"`, 1)})
	out := r.jailsetup("boot", r.vnodes[0])
	if out.code != 1 || !strings.Contains(out.stderr, "linkdelay") || !strings.Contains(out.stderr, "lan0") || !strings.Contains(out.stderr, "want 0 to 10000 ms") {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
}

// delayNodes are the pids of the delay nodes of the tests' namespaces.
func delayNodes(t *testing.T) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, dir := range dirs {
		name, err := os.ReadFile(dir + "/comm")
		if err != nil || string(name) != "delaynode\n" || !sharesNamespace(dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// shape is what the verb says of an experiment.
func (r *rig) shape(experiment string) []shape.Status {
	r.t.Helper()
	var links []shape.Status
	if err := json.Unmarshal([]byte(r.must("shape", "--json", experiment)), &links); err != nil {
		r.t.Fatal(err)
	}
	return links
}

// roundTrip pings node-b from node-a; the least time must lie in the bounds, in
// ms.
func (r *rig) roundTrip(t *testing.T, vnode string, low, high float64) {
	t.Helper()
	out := r.enter(vnode, "ping", "-c5", "-i0.2", "-q", "10.1.1.3")
	_, after, ok := strings.Cut(out, "rtt min/avg/max/mdev = ")
	least, _, ok2 := strings.Cut(after, "/")
	ms, err := strconv.ParseFloat(least, 64)
	if !ok || !ok2 || err != nil {
		t.Fatalf("ping says %q", out)
	}
	if ms < low || ms > high {
		t.Errorf("round trip %v ms, want %v to %v\n%s", ms, low, high, out)
	}
}
