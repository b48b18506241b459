//go:build linux && privileged

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// proxyStatus is what `jailsetup proxy status` says of a vnode.
func (r *rig) proxyStatus(vnode string) (st supervise.ProxyStatus, of int) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.must("proxy", "status", "--json")), &st); err != nil {
		r.t.Fatal(err)
	}
	for i, j := range st.Jails {
		if j.VNode == vnode {
			return st, i
		}
	}
	r.t.Fatalf("the proxy doesn't have %s: %+v", vnode, st)
	return st, 0
}

// answered reports whether tmcd answers the command inside the jail; its reply
// may be empty, but it ends well.
func (r *rig) answered(vnode, command string) bool {
	r.t.Helper()
	return r.jailsetup("enter", "-T", vnode, "tmcc", command).code == 0
}

// TestProxyIsKept: what an operator sees of the proxy and says to it, while it
// serves.
func TestProxyIsKept(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	r.write("site.yaml", r.text("site.yaml")+"metrics: "+r.path("metrics.sock")+"\n")
	r.startServe()
	r.startMock()
	v := r.vnodes[0]
	r.boot(v)

	t.Run("status", func(t *testing.T) {
		before, i := r.proxyStatus(v)
		r.enter(v, "tmcc", "status")
		after, k := r.proxyStatus(v)
		if after.Jails[k].OK != before.Jails[i].OK+1 || after.PID == 0 || after.Started != 1 {
			t.Errorf("before %+v, after %+v", before, after)
		}
		if table := r.must("proxy", "status"); !strings.Contains(table, v) || !strings.Contains(table, "STRANGERS") {
			t.Errorf("the table:\n%s", table)
		}
	})
	t.Run("metrics", func(t *testing.T) {
		text := r.metrics(t)
		for _, want := range []string{
			"emulab_proxy_up 1", "emulab_proxy_jails 1",
			fmt.Sprintf(`emulab_proxy_requests_total{outcome="ok",vnode="%s"}`, v),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
	})
	t.Run("rules count while the jail runs", func(t *testing.T) {
		policy := "state/" + v + "/policy"
		if r.answered(v, "role") || !r.answered(v, "status") {
			t.Fatal("the table doesn't count")
		}
		r.write(policy, "# for a test\nallow role\ndeny status\n")
		r.await("the rules", func() error {
			if !r.answered(v, "role") || r.answered(v, "status") {
				return errors.New("not yet")
			}
			return nil
		})
		r.write(policy, "allow everything\n")
		_ = r.serve.Process.Signal(syscall.SIGHUP)
		r.await("a word about it", func() error {
			if log := r.logs(); !strings.Contains(log, "policy stays as it was") || !strings.Contains(log, "rule 1: no command") {
				return errors.New("none")
			}
			return nil
		})
		if !r.answered(v, "role") {
			t.Error("a mistake took the rules away")
		}
		r.killProxy()
		r.await("the next proxy", func() error {
			if !r.answered(v, "role") || r.answered(v, "status") {
				return errors.New("it has other rules")
			}
			return nil
		})
		if err := os.Remove(r.path(policy)); err != nil {
			t.Fatal(err)
		}
		r.await("the table", func() error {
			if r.answered(v, "role") || !r.answered(v, "status") {
				return errors.New("not yet")
			}
			return nil
		})
	})
	t.Run("the audit log is opened again", func(t *testing.T) {
		log := r.path("state/audit.log")
		if err := os.Rename(log, log+".old"); err != nil {
			t.Fatal(err)
		}
		_ = r.serve.Process.Signal(syscall.SIGHUP)
		r.await("a line in the new log", func() error {
			r.enter(v, "tmcc", "status")
			data, err := os.ReadFile(log)
			if err == nil && !strings.Contains(string(data), `"command":"status"`) {
				err = errors.New("none")
			}
			return err
		})
	})
}

func (r *rig) text(name string) string {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

func (r *rig) metrics(t *testing.T) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.path("metrics.sock"))
		},
		DisableKeepAlives: true,
	}}
	resp, err := client.Get("http://metrics/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	return string(data)
}

// TestProxyOutlivesTheSupervisor: a request that tmcd works on while the
// supervisor is killed is answered; the next one takes the socket back and lets
// the old proxy drain.
func TestProxyOutlivesTheSupervisor(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.must("info") // it serves
	inode := r.socketInode(v)
	if out := r.run("tmcd-mock", "fault", "add", "delay", "command=hostnames", "delay=3s", "--manage", r.path("mock")); out.code != 0 {
		t.Fatal(out.err())
	}
	r.enter(v, "sh", "-c", "(tmcc hostnames >/root/slow; echo $? >/root/code) </dev/null >/dev/null 2>&1 &")
	old := r.served().Proxy
	r.await("the slow request at the proxy", func() error {
		if st, i := r.proxyStatus(v); st.Jails[i].Active == 0 {
			return errors.New("none")
		}
		return nil
	})
	r.serve.kill()
	r.startServe()
	if got := r.socketInode(v); got != inode {
		t.Error("the socket was bound anew")
	}
	if !r.answered(v, "status") {
		t.Error("the new proxy doesn't answer")
	}
	r.await("the slow answer", func() error {
		got := r.enter(v, "sh", "-c", "cat /root/code 2>/dev/null; cat /root/slow")
		if !strings.HasPrefix(got, "0\n") || !strings.Contains(got, "NAME=node-a") {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	r.await("the old proxy's end", func() error {
		if err := syscall.Kill(old, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("pid %d: %v", old, err)
		}
		return nil
	})
}

// TestStoppedProxyIsReplaced: a proxy that lives and doesn't answer is ended, and
// another one serves.
func TestStoppedProxyIsReplaced(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	old := r.served().Proxy
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(old, syscall.SIGKILL) }) // if it is there still
	r.must("kill", v)
	r.boot(v)
	if !r.answered(v, "status") {
		t.Error("tmcc inside has no answer")
	}
	if now := r.served().Proxy; now == 0 || now == old {
		t.Errorf("the proxy is %d, was %d", now, old)
	}
	if err := syscall.Kill(old, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the stopped one: %v", err)
	}
}

// socketInode names the jail's socket in the file system.
func (r *rig) socketInode(vnode string) uint64 {
	r.t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(r.path("run/jails/"+vnode+"/tmcc"), &st); err != nil {
		r.t.Fatal(err)
	}
	return st.Ino
}

// T23 of docs/spec/peers.md: what keeps a jail from tmcd and from speaking for
// others stands when proxy and supervisor are killed.
func TestT23RulesOutliveProxyAndSupervisor(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	// A process inside that goes on by itself: enter needs the supervisor.
	r.enter(v, "sh", "-c", "(while :; do "+
		fmt.Sprintf("timeout 1 bash -c 'exec 3<>/dev/tcp/%s/%d' && echo reached || echo kept out; ", r.host, tmcdPort)+
		"sleep 0.05; done) </dev/null >/root/tried 2>/dev/null &")
	tried := fmt.Sprintf("/proc/%d/root/root/tried", r.firstPID(v))
	attempts := func(after int) (n int) {
		t.Helper()
		r.await("attempts", func() error {
			data, err := os.ReadFile(tried)
			if n = bytes.Count(data, []byte("\n")); err == nil && n < after {
				err = fmt.Errorf("%d, want %d", n, after)
			}
			if bytes.Contains(data, []byte("reached")) {
				t.Fatal("tmcd's port was reached from inside")
			}
			return err
		})
		return n
	}
	n := attempts(2)
	proxy := r.served().Proxy
	r.serve.kill()
	_ = syscall.Kill(proxy, syscall.SIGKILL)
	attempts(n + 4)
	r.startServe()
	r.await("tmcc inside", func() error {
		if !r.answered(v, "status") {
			return errors.New("no answer")
		}
		return nil
	})
}

// firstPID is the pid of a running jail's first process.
func (r *rig) firstPID(vnode string) int {
	r.t.Helper()
	j, ok := r.info(vnode)
	if !ok || !j.Alive {
		r.t.Fatalf("%s doesn't run", vnode)
	}
	return j.PID
}

// T50 of docs/spec/peers.md: a vnode's id and id range pass to another project;
// nothing of the first is reachable by the second, whether or not this host has
// heard boss's kill in between.
func TestT50ANodeOfAnotherProjectFindsNothing(t *testing.T) {
	for _, c := range []struct{ name, leave, come string }{
		{"killed", "kill", "boot"},
		{"halted", "halt", "boot"},
		{"still up", "", "boot"},
		{"still up, rebooted", "", "reboot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, set{})
			v := r.vnodes[0]
			first := r.firstOwner(v)
			if c.leave != "" {
				r.must(c.leave, v)
				if _, err := os.Lstat(r.path("run/doors/" + v + ".json")); err == nil {
					t.Error("the record of its sockets is there still")
				}
			}
			r.passOn(v)
			if out := r.must("boot", "-n", v); strings.HasPrefix(out, "destroy what is here of jails/demo") != (c.leave != "kill") {
				t.Errorf("a dry run says:\n%s", out)
			}
			r.must(c.come, v)
			r.reports(v, "ISUP")
			r.nothingOf(t, first)
			said := strings.Contains(r.logs(), "passed to another experiment")
			if said != (c.leave != "kill") {
				t.Errorf("the log says that something was destroyed: %v", said)
			}
		})
	}
}

// firstOwner is the first project's jail, with its secrets.
func (r *rig) firstOwner(v string) jail.Record {
	r.t.Helper()
	r.boot(v)
	r.write("state/"+v+"/policy", "allow role\n")
	r.await("the rule", func() error {
		if !r.answered(v, "role") {
			return errors.New("not yet")
		}
		return nil
	})
	r.write("plan.json", `{"events": [{"at": 3600, "object": "secret-of-demo", "action": "START"}]}`)
	r.must("event", "jails/demo", "--schedule", r.path("plan.json"), "--start")
	r.enter(v, "sh", "-c", "tmcc keyhash >/root/secret; tmcc status >/var/tmp/secret; echo secret-of-demo >/local/logs/secret 2>/dev/null || :")
	return r.phase(v, jail.Up).Record
}

// passOn has tmcd give the vnode to another project.
func (r *rig) passOn(v string) {
	r.t.Helper()
	r.write("testbed.yaml", strings.NewReplacer(
		"projects: {", "projects: {other: {name: Other, head: alice, gid: 6002}, ",
		"groups: {jails: project_root}", "groups: {jails: project_root, other: project_root}",
		"experiments:\n", "experiments:\n  other/second: {creator: alice, mounts: none, keyhash: 00112233445566778899aabbccddeeff}\n",
		v+": {host: pc1, experiment: jails/demo,", v+": {host: pc1, experiment: other/second,",
		"members: {node-a: 10.1.1.2, node-b: 10.1.1.3}", "members: {node-b: 10.1.1.3}",
	).Replace(r.text("testbed.yaml")))
	if out := r.run("tmcd-mock", "reload", "--manage", r.path("mock")); out.code != 0 {
		r.t.Fatal(out.err())
	}
}

// nothingOf looks in the second project's jail, and in the state directory, for
// what the first has left.
func (r *rig) nothingOf(t *testing.T, first jail.Record) {
	t.Helper()
	v := first.VNode
	second := r.phase(v, jail.Up)
	if second.Project != "other" || second.IDBase != first.IDBase || second.Boot != 1 {
		t.Errorf("project %s, ids from %d, boot %d; before from %d", second.Project, second.IDBase, second.Boot, first.IDBase)
	}
	if r.answered(v, "role") {
		t.Error("the first one's rule counts")
	}
	st, i := r.proxyStatus(v)
	if st.Jails[i].Spoofs != 0 || st.Jails[i].Strangers != 0 {
		t.Errorf("it has the first one's counters: %+v", st.Jails[i])
	}
	if got := r.enter(v, "tmcc", "keyhash"); strings.Contains(got, "5f4dcc3b") {
		t.Errorf("the first one's key hash: %s", got)
	}
	found := r.enter(v, "sh", "-c", "grep -rslE 'secret-of-demo|5f4dcc3b5aa765d6|jails/demo|demo.jails' /root /var /etc /tmp /run /local /users /proj 2>/dev/null || :")
	if found != "" {
		t.Errorf("files of the first one:\n%s", found)
	}
	if left, err := filepath.Glob(r.path("state/.events/*demo*")); err != nil || len(left) > 0 {
		t.Errorf("the first one's schedule and key are kept: %v (%v)", left, err)
	}
}

// TestNoDiskIsDestroyedByHalfAnAnswer: over plain TCP the end of an answer that is
// cut short looks like any other. One that names half of an experiment destroys
// nothing.
func TestNoDiskIsDestroyedByHalfAnAnswer(t *testing.T) {
	r := newRig(t, set{plain: true})
	v := r.vnodes[0]
	r.boot(v)
	r.enter(v, "sh", "-c", "echo kept >/root/kept; sync")
	half := fmt.Sprintf("cut command=status bytes=%d", len("ALLOCATED=jails/de"))
	t.Run("of a jail that is up", func(t *testing.T) {
		r.fault(half)
		before := r.phase(v, jail.Up)
		out := r.jailsetup("boot", v)
		if out.code != 1 || !strings.Contains(out.complaint(), "runs already") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		if j := r.phase(v, jail.Up); j.PID != before.PID {
			t.Error("it is another one")
		}
	})
	t.Run("of one that is halted", func(t *testing.T) {
		r.must("halt", v)
		out := r.jailsetup("boot", v)
		if out.code != 1 || !strings.Contains(out.complaint(), "line is cut off") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.reports(v, "TBFAILED")
		if out := r.run("tmcd-mock", "fault", "clear", "--manage", r.path("mock")); out.code != 0 {
			t.Fatal(out.err())
		}
		r.boot(v)
		if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
			t.Errorf("the disk has %q", got)
		}
	})
}
