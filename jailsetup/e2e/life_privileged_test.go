//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// What tmcd says of the jail of TestLife, by jailconfig.
const (
	lifeMAC      = "02:00:00:00:77:01"
	lifeDisk     = 96 << 20
	lifePassword = "correct horse"
)

const lifeRows = `
rows:
  node_attributes:
  - {node_id: pc1, attrkey: virtnode_disksize, attrvalue: "0.09375"}
  - {node_id: @V1@, attrkey: root_password, attrvalue: ` + lifePassword + `}
`

// TestLife is one jail's, from the first boot to the end.
func TestLife(t *testing.T) {
	mac := strings.ReplaceAll(lifeMAC, ":", "")
	r := newRig(t, set{base: strings.Replace(testbed, "jail: {ip: @NET@.1}", `jail: {ip: @NET@.1, mac: "`+mac+`"}`, 1), testbed: lifeRows})
	v := r.vnodes[0]
	start, err := list()
	if err != nil {
		t.Fatal(err)
	}
	r.boot(v)

	t.Run("status inside names the jail", func(t *testing.T) {
		if got := r.enter(v, "tmcc", "status"); !strings.Contains(got, "NICKNAME=node-a") {
			t.Errorf("tmcc status says %q", got)
		}
	})
	t.Run("VDSIZE, CTRLMAC and ROOTHASH are the jail's", func(t *testing.T) { r.isAsConfigured(t, v) })
	t.Run("boot of a running jail says so", func(t *testing.T) {
		out := r.jailsetup("boot", v)
		if out.code != 1 || !strings.Contains(out.stderr, "runs already") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	t.Run("halt keeps the disk", func(t *testing.T) {
		r.enter(v, "sh", "-c", "echo kept >/root/kept")
		r.must("halt", v)
		if j, ok := r.info(v); !ok || j.Phase != jail.Down || j.Desired != jail.Halted || j.Alive {
			t.Errorf("list says %+v", j)
		}
		r.reports(v, "SHUTDOWN")
		if err := r.isAs(start); err != nil {
			t.Errorf("halted, left:\n%v", err)
		}
		r.must("halt", v) // halting a halted jail is what is wanted
	})
	t.Run("boot again finds the disk", func(t *testing.T) {
		r.boot(v)
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("/root/kept says %q", got)
		}
	})
	t.Run("reboot", func(t *testing.T) {
		before := r.phase(v, jail.Up)
		r.must("reboot", v)
		after := r.phase(v, jail.Up)
		if after.PID == before.PID || after.Boot != before.Boot+1 || after.IDBase != before.IDBase {
			t.Errorf("before %+v, after %+v", before.Record, after.Record)
		}
		r.reports(v, "ISUP")
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("/root/kept says %q", got)
		}
	})
	t.Run("kill leaves nothing", func(t *testing.T) {
		r.must("kill", v)
		if _, ok := r.info(v); ok {
			t.Error("it is listed still")
		}
		if err := r.isAs(start); err != nil {
			t.Errorf("left:\n%v", err)
		}
		r.reports(v, "SHUTDOWN")
	})
	t.Run("a jail killed begins anew", func(t *testing.T) {
		r.boot(v)
		if out := r.jailsetup("enter", v, "cat", "/root/kept"); out.code != 1 {
			t.Errorf("/root/kept is there: %q", out.stdout)
		}
	})
}

// isAsConfigured looks at what jailconfig says of disk, control interface and root.
func (r *rig) isAsConfigured(t *testing.T, v string) {
	if info, err := os.Stat(filepath.Join(r.state(), v, "root.img")); err != nil || info.Size() != lifeDisk {
		t.Errorf("VDSIZE: the disk: %v, %v", info, err)
	}
	var blocks, size int64
	if _, err := fmt.Sscan(r.enter(v, "stat", "-f", "-c", "%b %S", "/"), &blocks, &size); err != nil {
		t.Fatal(err)
	}
	if got := blocks * size; got > lifeDisk || got < lifeDisk*3/4 {
		t.Errorf("VDSIZE: the file system has %d bytes", got)
	}
	if got := r.enter(v, "cat", "/sys/class/net/eth0/address"); got != lifeMAC+"\n" {
		t.Errorf("CTRLMAC: eth0 has %q", got)
	}
	_, hash, _ := strings.Cut(r.enter(v, "grep", "^root:", "/etc/shadow"), ":")
	hash, _, _ = strings.Cut(hash, ":")
	fields := strings.Split(hash, "$")
	if len(fields) != 4 {
		t.Fatalf("ROOTHASH: root's hash is %q", hash)
	}
	want, err := exec.Command("openssl", "passwd", "-1", "-salt", fields[2], lifePassword).Output()
	if err != nil || hash+"\n" != string(want) {
		t.Errorf("ROOTHASH: root's hash is %q, want %q (%v)", hash, want, err)
	}
}

// TestDryRun: a plan is printed and nothing happens, not even at tmcd.
func TestDryRun(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	start, err := list()
	if err != nil {
		t.Fatal(err)
	}
	unchanged := func(t *testing.T, state string) {
		t.Helper()
		if err := r.isAs(start); err != nil {
			t.Errorf("changed:\n%v", err)
		}
		if got := r.node(v).State; got != state {
			t.Errorf("tmcd has heard %q", got)
		}
	}
	first := r.node(v).State
	t.Run("of a boot", func(t *testing.T) {
		out := r.must("boot", "-n", v)
		for _, want := range []string{" 1. clone disk", "make cgroups", "open sockets", "own user, pid, net", "eth0", "eth1", "run injail as PID 1"} {
			if !strings.Contains(out, want) {
				t.Errorf("doesn't say %q:\n%s", want, out)
			}
		}
		unchanged(t, first)
		r.noJailLeft()
	})
	t.Run("of a kill of nothing", func(t *testing.T) {
		if out := r.must("kill", "-n", v); out != "" {
			t.Errorf("says %q", out)
		}
	})
	r.boot(v)
	if start, err = list(); err != nil {
		t.Fatal(err)
	}
	delete(start, "processes") // inside they come and go
	t.Run("of a kill", func(t *testing.T) {
		out := r.must("kill", "-n", v)
		for _, want := range []string{"undo kill", "undo cgroup", "undo image"} {
			if !strings.Contains(out, want) {
				t.Errorf("doesn't say %q:\n%s", want, out)
			}
		}
		unchanged(t, "ISUP")
	})
	t.Run("of a boot of one that runs", func(t *testing.T) {
		if out := r.jailsetup("boot", "-n", v); out.code != 1 || !strings.Contains(out.stderr, "runs already") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		unchanged(t, "ISUP")
	})
	t.Run("of a reboot", func(t *testing.T) {
		out := r.must("reboot", "-n", v)
		for _, want := range []string{"undo kill: end every process", "make cgroups", "for the events of jails/demo", "run injail as PID 1"} {
			if !strings.Contains(out, want) {
				t.Errorf("doesn't say %q:\n%s", want, out)
			}
		}
		if strings.Contains(out, "clone disk") {
			t.Errorf("clones a disk, which it has:\n%s", out)
		}
		unchanged(t, "ISUP")
	})
	t.Run("of a halt", func(t *testing.T) {
		out := r.must("halt", "-n", v)
		if !strings.Contains(out, "undo cgroup") || strings.Contains(out, "undo image") {
			t.Errorf("says:\n%s", out)
		}
		unchanged(t, "ISUP")
	})
}

// TestNothingThere: verbs on a vnode that isn't on this host.
func TestNothingThere(t *testing.T) {
	r := newRig(t, set{})
	if out := r.jailsetup("kill", r.vnodes[0]); out.code != 0 || out.stdout+out.stderr != "" {
		t.Errorf("kill: %d: %s", out.code, out.stderr)
	}
	if got := r.must("list", "--json"); strings.TrimSpace(got) != `{"jails":[]}` {
		t.Errorf("list --json says %q", got)
	}
	if got := r.must("list"); !strings.HasPrefix(got, "VNODE") || strings.Count(got, "\n") != 1 {
		t.Errorf("list says %q", got)
	}
}

// TestStopClean: of jails and supervisor nothing is left but logs, and they are
// named.
func TestStopClean(t *testing.T) {
	r := newRig(t, set{})
	r.boot(r.vnodes[0])
	out := r.must("stop", "--clean")
	<-r.serve.ended
	if want := "kept: " + r.path("state/audit.log") + "\n"; out != want {
		t.Errorf("says %q, want %q", out, want)
	}
	left, err := os.ReadDir(r.state())
	if err != nil || len(left) != 1 || left[0].Name() != "audit.log" {
		t.Errorf("left in the state directory: %v (%v)", left, err)
	}
	if _, err := os.Stat(r.path("run")); !errors.Is(err, fs.ErrNotExist) {
		left, _ := os.ReadDir(r.path("run"))
		t.Errorf("left in the run directory: %v (%v)", left, err)
	}
}

// TestStopCleanWhileBooting: boots whose clients are gone are waited for, and
// nothing boots afterwards.
func TestStopCleanWhileBooting(t *testing.T) {
	r := newRig(t, set{})
	for _, pause := range []time.Duration{2 * time.Millisecond, 15 * time.Millisecond, 60 * time.Millisecond} {
		site, err := jail.LoadSite(r.path("site.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.vnodes {
			c, err := supervise.Dial(t.Context(), site)
			if err != nil {
				t.Fatal(err)
			}
			_, err = fmt.Fprintf(c, "{\"verb\":%q,\"vnode\":%q}\n", supervise.VerbBoot, v)
			if err = errors.Join(err, c.Close()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(pause)
		r.must("stop", "--clean")
		<-r.serve.ended
		if left, err := os.ReadDir(r.path("run")); err == nil {
			t.Errorf("left in the run directory: %v", left)
		}
		r.startServe()
	}
}

// TestEndsByItself: the state is reported, the disk is kept, and what jail root
// types is what happens (T36).
func TestEndsByItself(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	start, err := list()
	if err != nil {
		t.Fatal(err)
	}
	r.boot(v)
	r.enter(v, "sh", "-c", "echo kept >/root/kept")
	for _, c := range []struct {
		name  string
		end   func(j supervise.JailInfo)
		words string
		again bool
	}{
		{"reboot", func(supervise.JailInfo) { r.jailsetup("enter", v, "reboot") }, "", true},
		{"reboot by the host's program", func(supervise.JailInfo) { r.jailsetup("enter", v, "/usr/sbin/reboot") }, "", true},
		{"reboot at once", func(supervise.JailInfo) { r.jailsetup("enter", v, "reboot", "-f") }, "", true},
		{"shutdown -r", func(supervise.JailInfo) { r.jailsetup("enter", v, "shutdown", "-r", "now") }, "", true},
		{"poweroff", func(supervise.JailInfo) { r.jailsetup("enter", v, "poweroff") }, "powered off from inside", false},
		{"halt", func(supervise.JailInfo) { r.jailsetup("enter", v, "halt") }, "powered off from inside", false},
		{"its init is killed", func(j supervise.JailInfo) { _ = syscall.Kill(j.PID, syscall.SIGKILL) }, "killed by SIGKILL", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := r.phase(v, jail.Up)
			c.end(before)
			if c.again {
				r.await("another boot", func() error {
					if j, _ := r.info(v); j.Boot != before.Boot+1 || j.Phase != jail.Up {
						return fmt.Errorf("boot %d, %s, ended: %s", j.Boot, j.Phase, j.Ended)
					}
					return nil
				})
				r.reports(v, "ISUP")
			} else {
				j := r.phase(v, jail.Down)
				if j.Ended != c.words || j.Desired != jail.Halted {
					t.Errorf("ended %q, desired %s", j.Ended, j.Desired)
				}
				r.reports(v, "SHUTDOWN")
				if err := r.isAs(start); err != nil {
					t.Errorf("left:\n%v", err)
				}
				r.boot(v)
			}
			if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
				t.Errorf("the disk has %q", got)
			}
		})
	}
}

// TestRebootsAtOnceWhenAdopted: how a jail ended is known for sure also to a
// supervisor that didn't start it, so `reboot -f` boots it again, always.
func TestRebootsAtOnceWhenAdopted(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	for range 8 {
		r.serve.kill()
		r.startServe()
		before := r.phase(v, jail.Up)
		r.jailsetup("enter", v, "reboot", "-f")
		r.await("another boot", func() error {
			if j, _ := r.info(v); j.Boot != before.Boot+1 || j.Phase != jail.Up {
				return fmt.Errorf("boot %d, %s, ended: %s", j.Boot, j.Phase, j.Ended)
			}
			return nil
		})
	}
}

// TestBootWhileKilled: the end of a jail that was killed is no end of the one
// that was booted in its place, though both are the first of their record.
func TestBootWhileKilled(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	for range 5 {
		before := r.phase(v, jail.Up)
		r.enter(v, "sh", "-c", "trap '' TERM; sleep 1000 </dev/null >/dev/null 2>&1 &") // it takes its grace
		killed := make(chan result)
		go func() { killed <- r.jailsetup("kill", v) }()
		r.phase(v, jail.Leaving)
		r.boot(v)
		if out := <-killed; out.code != 0 {
			t.Fatalf("kill: %v", out.err())
		}
		if got := r.enter(v, "hostname"); !strings.Contains(got, "node-a") {
			t.Errorf("hostname %q", got)
		}
		if j := r.phase(v, jail.Up); j.PID == before.PID {
			t.Error("the jail that was killed runs")
		}
	}
}

// TestRebootIsRemembered: a jail whose reboot was typed inside, and that waited
// for it when the supervisor ended, is booted by the next one.
func TestRebootIsRemembered(t *testing.T) {
	r := newRig(t, set{})
	v, other := r.vnodes[0], r.vnodes[1]
	r.boot(v)
	r.boot(other)
	r.must("halt", v)
	r.must("halt", other)
	r.must("stop")
	for _, row := range []struct{ vnode, ended string }{{v, "rebooted from inside"}, {other, "powered off from inside"}} {
		path := "state/" + row.vnode + "/record.json"
		var record map[string]any
		if err := json.Unmarshal([]byte(r.text(path)), &record); err != nil {
			t.Fatal(err)
		}
		record["ended"], record["desired"] = row.ended, "running"
		text, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		r.write(path, string(text))
	}
	r.startServe()
	r.await("the boot", func() error {
		if j, _ := r.info(v); !j.Alive {
			return fmt.Errorf("it is %s", j.Phase)
		}
		return nil
	})
	if j, _ := r.info(other); j.Alive || j.Phase != jail.Down {
		t.Errorf("one that ended otherwise is %s", j.Phase)
	}
}
