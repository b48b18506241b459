//go:build linux && privileged

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestUnserved: nobody has to know that there is a supervisor. After stop, and
// after it was killed, the next verb starts one; the verbs that only look for
// one say that none runs.
func TestUnserved(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	for _, row := range []struct {
		name string
		args []string
		says string
	}{
		{"enter", []string{"enter", "-T", v, "echo", "inside"}, "inside"},
		{"status", []string{"status", v}, "is up"},
		{"logs", []string{"logs", v, "console"}, ""},
		{"cp", []string{"cp", r.path("site.yaml"), v + ":/root"}, ""},
		{"update", []string{"update", v}, ""},
		{"shape", []string{"shape", "demo"}, "lan0"},
		{"event", []string{"event", "jails/demo", "--start"}, ""},
		{"hostports", []string{"hostports"}, ""},
		{"halt", []string{"halt", v}, ""},
		{"kill", []string{"kill", v}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.must("stop")
			if out := r.jailsetup("info"); out.code != 1 || !strings.Contains(out.stderr, "no supervisor runs") {
				t.Fatalf("info, without a supervisor: exit code %d: %s", out.code, out.stderr)
			}
			out := r.jailsetup(row.args...)
			if err := out.err(); err != nil || !strings.Contains(out.stdout, row.says) {
				t.Errorf("%v: %s", err, out.stdout)
			}
			if err := r.jailsetup("info").err(); err != nil {
				t.Error(fmt.Errorf("afterwards: %w", err))
			}
		})
	}
}

// TestUnservedTogether: verbs that find no supervisor at the same time start one
// for all of them.
func TestUnservedTogether(t *testing.T) {
	r := newRig(t, set{})
	r.boot(r.vnodes[0])
	for range 3 {
		r.must("stop")
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if err := r.jailsetup("hostports").err(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// TestRebootWithoutTmcd: a reboot that can't boot says that the vnode is down,
// and the verb that it names brings it up when tmcd is back.
func TestRebootWithoutTmcd(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.mock.kill()
	out := r.jailsetup("reboot", v)
	verb := "jailsetup boot " + v
	if out.code != 1 || !strings.Contains(out.stderr, "report BOOTING") || !strings.Contains(out.stderr, "(it is down now: "+verb+" brings it up)") {
		t.Fatalf("exit code %d: %s", out.code, out.stderr)
	}
	r.startMock()
	r.boot(v)
}
