//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowdTimeout is how long so many vnodes may take to be ISUP: a minute, and two
// seconds each on a machine of two cores.
func crowdTimeout(n int) time.Duration { return time.Minute + time.Duration(n)*2*time.Second }

// newCrowd is a host of n vnodes, on one LAN.
func newCrowd(t *testing.T, n int) *rig {
	t.Helper()
	r := newRig(t, set{noServe: true, noMock: true, site: "overcommit: true"})
	base := r.vnodes[0]
	r.vnodes = nil
	head, _, _ := strings.Cut(testbed, "vnodes:")
	var members, vnodes []string
	for i := 1; i <= n; i++ {
		id := fmt.Sprintf("%s-%d", strings.TrimSuffix(base, "-1"), i)
		r.vnodes = append(r.vnodes, id)
		members = append(members, fmt.Sprintf("node-%d: 10.1.1.%d", i, i))
		vnodes = append(vnodes, fmt.Sprintf("  %s: {host: pc1, experiment: jails/demo, name: node-%d, sshdport: %d, jail: {ip: @NET@.%d}}", id, i, 30000+i, i))
	}
	head = strings.Replace(head, "{node-a: 10.1.1.2, node-b: 10.1.1.3}", "{"+strings.Join(members, ", ")+"}", 1)
	head = strings.Replace(head, "    sync_server: node-a\n", "", 1)
	r.writeTestbed(head + "vnodes:\n" + strings.Join(vnodes, "\n") + "\n")
	r.startServe()
	r.startMock()
	return r
}

// up waits until tmcd has heard of every vnode that it is up.
func (r *rig) up(n int) {
	r.t.Helper()
	err := until(crowdTimeout(n), func() error {
		var shown struct{ Nodes []node }
		out := r.run("tmcd-mock", "show", "--json", "--manage", r.path("mock"))
		if err := errors.Join(out.err(), json.Unmarshal([]byte(out.stdout), &shown)); err != nil {
			return err
		}
		states := map[string]int{}
		for _, n := range shown.Nodes {
			states[n.State]++
		}
		if states["ISUP"] < n {
			return fmt.Errorf("%v", states)
		}
		return nil
	})
	if err != nil {
		r.t.Fatalf("%d vnodes: %v\n%s", n, err, r.logs())
	}
}

// doctor says what stands in the way of so many jails, the nearest wall first.
func (r *rig) doctor(n int) {
	r.t.Helper()
	out := r.jailsetup("doctor", "--jails", fmt.Sprint(n))
	r.t.Logf("doctor --jails %d: exit code %d\n%s", n, out.code, out.stdout)
	if out.code != 0 {
		r.t.Errorf("this host can't have %d jails: %s", n, out.stderr)
	}
}

// TestBootsAtOnce: a hundred boots at once are a hundred vnodes ISUP, none tried
// twice (T33); ten where the tag soak isn't set.
func TestBootsAtOnce(t *testing.T) {
	n := 10
	if soak {
		n = 100
	}
	r := newCrowd(t, n)
	r.doctor(n)
	began := time.Now()
	failed := make(chan error, n)
	var all sync.WaitGroup
	for _, v := range r.vnodes {
		all.Go(func() {
			if out := r.jailsetup("boot", v); out.code != 0 {
				failed <- out.err()
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	started := time.Since(began)
	r.up(n)
	t.Logf("soak: boots at once: %d of %d ISUP after %.1f s, their init after %.1f s", n, n, time.Since(began).Seconds(), started.Seconds())
}

// TestManyJails: as many jails as the address plan has for a host, 254, boot, and
// are gone within a minute (T34); 25 where the tag soak isn't set.
func TestManyJails(t *testing.T) {
	n, most := 25, 12*time.Second
	if soak {
		n, most = 254, time.Minute
	}
	r := newCrowd(t, n)
	r.doctor(n)
	began := time.Now()
	r.wide(t, n)
	r.up(n)
	booted := time.Since(began)
	began = time.Now()
	r.wide(t, n, "--kill")
	took := time.Since(began)
	if took > most {
		t.Errorf("%d jails are gone after %s, want %s at most", n, took, most)
	}
	t.Logf("soak: jails on one host: %d ISUP after %.1f s, gone in %.1f s", n, booted.Seconds(), took.Seconds())
}

// wide does bootvnodes for a crowd.
func (r *rig) wide(t *testing.T, n int, options ...string) {
	t.Helper()
	args := append([]string{"--site", r.path("site.yaml"), "bootvnodes"}, options...)
	if out := r.runFor(crowdTimeout(n), "jailsetup", args...); out.code != 0 {
		t.Fatalf("%v\n%s", out.err(), r.logs())
	}
}
