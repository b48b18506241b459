//go:build linux && privileged

package e2e

import (
	"strings"
	"testing"
)

// firstWords is a line of /etc/rc.conf, which /etc/rc reads before it starts
// anything: the first that anybody inside can have run.
const firstWords = `{ ip -o -4 address; ip route; ping -c1 -W2 10.1.1.3; } >/var/tmp/first.new 2>&1; mv /var/tmp/first.new /var/tmp/first
`

// atFirst reboots the vnode and returns what stood in it before anything was
// started.
func (r *rig) atFirst(vnode string) (said string) {
	r.t.Helper()
	r.enter(vnode, "sh", "-c", "cat >>/etc/rc.conf <<'END'\n"+firstWords+"END\n")
	r.must("reboot", vnode)
	r.await("the first words", func() error {
		out := r.jailsetup("enter", "-T", vnode, "cat", "/var/tmp/first")
		said = out.stdout
		return out.err()
	})
	return said
}

// Row 6 of jail.md §10: interfaces, routes, tunnels and shaping are there before
// the first process of the jail's own runs.
func TestRow6NetworkBeforeTheFirstProcess(t *testing.T) {
	t.Run("shaping", func(t *testing.T) {
		r := newRig(t, set{testbed: shapedTestbed})
		r.boot(r.vnodes[0])
		r.boot(r.vnodes[1])
		got := r.atFirst(r.vnodes[0])
		_, after, _ := strings.Cut(got, " time=")
		if ms, _, _ := strings.Cut(after, "."); len(ms) != 2 || ms < "30" { // 20 ms there, 10 back
			t.Errorf("the first packet wasn't delayed by 30 ms:\n%s", got)
		}
	})
	t.Run("interfaces, tunnels, routes", func(t *testing.T) {
		r := newRecordedRig(t, "127.0.0.1", "tunnels: vxlan")
		a := r.vnodes[0]
		r.must("boot", a)
		r.bootsAgain(a)
		r.must("boot", r.vnodes[1])
		got := r.atFirst(a)
		for _, want := range []string{
			"eth0", "eth1    inet 10.1.1.2/24", "eth1    inet 10.1.1.22/24", "eth2    inet 10.1.2.2/24", "eth3    inet 10.1.5.2/24",
			"10.1.3.0/24 via 10.1.1.3 dev eth1", "1 received",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("there was no %q:\n%s", want, got)
			}
		}
	})
}

// Row 12 of jail.md §10: a reboot keeps the private disk and picks up a changed
// nickname and configuration; halt and start likewise; kill leaves nothing
// (TestLife compares all that a host has).
func TestRow12ChangedConfiguration(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.enter(v, "sh", "-c", "echo kept >/root/kept")
	name, addr := "node-a", "10.1.1.2"
	for _, row := range []struct {
		how, name, addr string
		again           func()
	}{
		{"reboot", "node-c", "10.1.1.7", func() { r.must("reboot", v) }},
		{"halt and boot", "node-d", "10.1.1.8", func() { r.must("halt", v); r.must("boot", v) }},
	} {
		t.Run(row.how, func(t *testing.T) {
			r.mock.kill()
			r.edit("testbed.yaml", addr, row.addr)
			r.edit("testbed.yaml", name, row.name)
			name, addr = row.name, row.addr
			r.startMock()
			row.again()
			r.reports(v, "ISUP")
			for _, want := range []struct{ words, argv string }{
				{name + ".demo.jails", "cat /var/emulab/boot/nickname"},
				{name, "hostname"},
				{"NICKNAME=" + name, "tmcc status"},
				{addr + "/24", "ip -o address show dev eth1"},
				{"kept", "cat /root/kept"},
			} {
				if got := r.enter(v, strings.Fields(want.argv)...); !strings.Contains(got, want.words) {
					t.Errorf("%s says %q, want %q", want.argv, got, want.words)
				}
			}
			if out := r.must("list"); !strings.Contains(out, name) {
				t.Errorf("list doesn't name %s:\n%s", name, out)
			}
		})
	}
}
