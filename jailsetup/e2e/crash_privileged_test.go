//go:build linux && privileged

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/jail"
)

// backWithin is how long tmcc in a jail may be without its proxy: a second, and
// what a busy machine adds.
const backWithin = 2500 * time.Millisecond

// TestKilledWhileUp: whatever of ours is killed, no jail notices but by
// requests that fail for a moment.
func TestKilledWhileUp(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	asks := r.keepAsking(v)
	before := r.phase(v, jail.Up)
	for _, c := range []struct {
		name  string
		kill  func()
		serve bool // the supervisor is started again
	}{
		{"the proxy", func() { r.killProxy() }, false},
		{"the proxy, twice", func() { r.killProxy(); r.killProxy() }, false},
		{"the supervisor", func() { r.serve.kill() }, true},
		{"the supervisor, then the proxy", func() { proxy := r.served().Proxy; r.serve.kill(); _ = syscall.Kill(proxy, syscall.SIGKILL) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			took := least(backWithin, func() time.Duration {
				c.kill()
				if c.serve {
					r.startServe()
				}
				began := time.Now()
				asks.again(t)
				return time.Since(began)
			})
			if took > backWithin {
				t.Errorf("tmcc works again after %s", took)
			}
			if got := r.enter(v, "tmcc", "status"); !strings.Contains(got, "NICKNAME=node-a") {
				t.Errorf("tmcc status says %q", got)
			}
			if after := r.phase(v, jail.Up); after.PID != before.PID || after.Boot != before.Boot {
				t.Errorf("was %+v, is %+v", before.Record, after.Record)
			}
		})
	}
	t.Run("a reboot typed inside an adopted jail", func(t *testing.T) {
		r.jailsetup("enter", v, "reboot")
		r.await("another boot", func() error {
			if j, _ := r.info(v); j.Boot != before.Boot+1 || j.Phase != jail.Up {
				return fmt.Errorf("boot %d, %s, ended: %s", j.Boot, j.Phase, j.Ended)
			}
			return nil
		})
	})
	t.Run("a jail that ends without a supervisor", func(t *testing.T) {
		j := r.phase(v, jail.Up)
		r.serve.kill()
		_ = syscall.Kill(j.PID, syscall.SIGKILL)
		r.await("its end", func() error {
			if err := syscall.Kill(j.PID, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d is there: %v", j.PID, err)
			}
			return nil
		})
		r.startServe()
		if j := r.phase(v, jail.Down); j.Alive {
			t.Error("alive")
		}
		r.reports(v, "SHUTDOWN")
		r.boot(v)
	})
}

// asking is a loop inside a jail that asks tmcd all the time.
type asking struct {
	r     *rig
	vnode string
}

func (r *rig) keepAsking(vnode string) asking {
	r.t.Helper()
	r.enter(vnode, "sh", "-c", `setsid sh -c 'while :; do tmcc status 2>/dev/null | grep -q node-a && date +%s.%N >/root/asked; sleep 0.02; done' </dev/null >/dev/null 2>&1 &`)
	return asking{r, vnode}
}

// again waits until a request made after now has succeeded.
func (a asking) again(t *testing.T) {
	t.Helper()
	now := time.Now()
	a.r.await("tmcc inside", func() error {
		out := a.r.jailsetup("enter", "-T", a.vnode, "cat", "/root/asked")
		at, err := strconv.ParseFloat(strings.TrimSpace(out.stdout), 64)
		if err = errors.Join(out.err(), err); err != nil {
			return err
		}
		if at < float64(now.UnixMicro())/1e6+0.03 {
			return errors.New("not asked since")
		}
		return nil
	})
}

func (r *rig) killProxy() {
	r.t.Helper()
	r.await("a proxy", func() error {
		pid := r.served().Proxy
		if pid == 0 {
			return errors.New("none")
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	})
}

// TestKilledInBoot: the supervisor is killed as soon as the undo log has n
// records, for each n there is (T35). The next one leaves nothing of it.
func TestKilledInBoot(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	records := len(r.bootLog(v))
	r.must("kill", v)
	start := quiet(t)
	for n := 1; n <= records; n++ {
		t.Run(fmt.Sprintf("after record %d of %d", n, records), func(t *testing.T) {
			reached := r.killInBoot(t, v, n)
			t.Logf("killed at %d records", reached)
			r.startServe()
			if j, there := r.info(v); there && j.Phase == jail.Up {
				r.must("kill", v) // it was quicker than we
			} else {
				r.reports(v, "TBFAILED")
			}
			if err := r.isAs(start); err != nil {
				t.Errorf("left:\n%v", err)
			}
			r.noJailLeft()
		})
	}
	t.Run("with a disk from before", func(t *testing.T) {
		r.boot(v)
		r.enter(v, "sh", "-c", "echo kept >/root/kept; sync")
		r.must("halt", v)
		r.killInBoot(t, v, 4)
		r.startServe()
		r.jailsetup("halt", v) // if it was quicker
		if err := r.isAs(start); err != nil {
			t.Errorf("left:\n%v", err)
		}
		r.boot(v)
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("the disk has %q", got)
		}
		r.must("kill", v)
	})
	t.Run("at the end, all works", func(t *testing.T) {
		r.boot(v)
		r.must("kill", v)
	})
}

// bootLog is the lines of the vnode's undo log of this boot.
func (r *rig) bootLog(vnode string) []string {
	data, err := os.ReadFile(filepath.Join(r.state(), vnode, "boot.log"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// killInBoot boots the vnode and kills the supervisor when its log has n
// records. It returns how many there were then.
func (r *rig) killInBoot(t *testing.T, vnode string, n int) int {
	t.Helper()
	cmd := exec.Command(program("jailsetup"), "--site", r.path("site.yaml"), "boot", vnode)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(waitTimeout); len(r.bootLog(vnode)) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("the log doesn't get %d records", n)
		}
	}
	r.serve.kill()
	_ = cmd.Wait()
	return len(r.bootLog(vnode))
}

// TestSpawnerKilled: what starts a jail is killed before it is done.
func TestSpawnerKilled(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v) // the template is made
	r.must("kill", v)
	start := quiet(t)
	for _, c := range []struct {
		name string
		find func() int // the process to kill, or 0
	}{
		{"jailspawn", func() int { return r.ours("jailspawn") }},
		{"stage 0", func() int { return r.inCgroup(v) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, killed := r.bootKilling(v, c.find)
			for tries := 0; !killed && tries < 20; tries++ { // it was quicker than the look
				r.must("kill", v)
				out, killed = r.bootKilling(v, c.find)
			}
			if !killed {
				t.Fatal("nothing was killed")
			}
			if out.code != 1 || out.complaint() == "" {
				// A jail whose init dies at once is one that ends by itself.
				if out.code != 0 {
					t.Errorf("exit code %d: %s", out.code, out.stderr)
				}
				r.phase(v, jail.Down)
				r.must("kill", v)
			}
			if err := r.isAs(start); err != nil {
				t.Errorf("left:\n%v", err)
			}
			r.noJailLeft()
		})
	}
	r.boot(v)
}

// bootKilling boots the vnode and kills the process that find sees meanwhile.
func (r *rig) bootKilling(v string, find func() int) (out result, killed bool) {
	done, stop := make(chan bool, 1), make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- false
				return
			default:
			}
			if pid := find(); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				done <- true
				return
			}
		}
	}()
	out = r.jailsetup("boot", v)
	close(stop)
	return out, <-done
}

// ours finds a process of the tests' network namespace by its name.
func (r *rig) ours(name string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range slices.Backward(dirs) {
		comm, err := os.ReadFile(dir + "/comm")
		if err == nil && strings.TrimSpace(string(comm)) == name && sharesNamespace(dir) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

// cgroupDir is the vnode's directory in the v2 hierarchy.
func cgroupDir(vnode string) string {
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/emulab/" + vnode)
	more, _ := filepath.Glob("/sys/fs/cgroup/emulab/" + vnode)
	for _, d := range append(dirs, more...) {
		if _, err := os.Stat(filepath.Join(d, "cgroup.kill")); err == nil {
			return d
		}
	}
	return ""
}

func (r *rig) inCgroup(vnode string) int {
	data, err := os.ReadFile(filepath.Join(cgroupDir(vnode), "cgroup.procs"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.Fields(string(data) + " 0")[0])
	return pid
}

// TestBrokenLog: a line that a crash has cut is no record.
func TestBrokenLog(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	start := quiet(t)
	for _, c := range []struct{ name, line string }{
		{"cut in a word", `{"undo":{"kind":"gi`},
		{"cut before the end of line", `{"undo":{"kind":"given","data":"/nowhere"}}`},
		{"a mark that is cut", `{"undone":`},
		{"zeros", "\x00\x00\x00\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.must("boot", v)
			r.serve.kill()
			f, err := os.OpenFile(filepath.Join(r.state(), v, "boot.log"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteString(c.line)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			r.startServe()
			r.phase(v, jail.Up)
			r.must("kill", v)
			if err := r.isAs(start); err != nil {
				t.Errorf("left:\n%v", err)
			}
		})
	}
}

// TestInterrupted: a boot whose caller is gone goes on; one whose supervisor is
// told to end is taken back.
func TestInterrupted(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	t.Run("the caller is killed", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cmd := r.command(ctx, "jailsetup", "--site", r.path("site.yaml"), "boot", v)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.await("the boot to begin", func() error {
			if len(r.bootLog(v)) == 0 {
				return errors.New("no record")
			}
			return nil
		})
		cancel()
		_ = cmd.Wait()
		r.phase(v, jail.Up)
		r.must("kill", v)
	})
	start := quiet(t)
	t.Run("the supervisor is told to end", func(t *testing.T) {
		cmd := exec.Command(program("jailsetup"), "--site", r.path("site.yaml"), "boot", v)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.await("the boot to begin", func() error {
			if len(r.bootLog(v)) == 0 {
				return errors.New("no record")
			}
			return nil
		})
		r.serve.signal(syscall.SIGTERM)
		<-r.serve.ended
		_ = cmd.Wait()
		r.startServe()
		if j, there := r.info(v); there && j.Phase == jail.Up {
			r.must("kill", v) // it was quicker than we
		}
		if err := r.isAs(start); err != nil {
			t.Errorf("left:\n%v", err)
		}
		r.noJailLeft()
	})
}
