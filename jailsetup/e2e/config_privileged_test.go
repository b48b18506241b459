//go:build linux && privileged

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// changes are what the steps of a summary changed.
func (i *inside) changes(vnode, action string) []string {
	i.t.Helper()
	var all []string
	for _, s := range i.summaryOf(vnode, action).Steps {
		for _, c := range s.Changes {
			all = append(all, s.Step+": "+c)
		}
	}
	return all
}

// sent counts how often the web server has sent a file.
func (i *inside) sent() int {
	i.t.Helper()
	log, err := os.ReadFile(i.mock.log)
	if err != nil {
		i.t.Fatal(err)
	}
	return strings.Count(string(log), `msg="sending file"`)
}

// TestConfiguration is rows 7 to 10 of jail.md §10: order, accounts, software,
// watchdog; and what changes at tmcd is in the jail without a reboot.
func TestConfiguration(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)

	t.Run("the order of §3.4", func(t *testing.T) {
		var names []string
		s := i.summaryOf(i.a, "boot")
		for _, r := range s.Steps {
			names = append(names, r.Step)
		}
		want := strings.Fields("directories config aliases nickname rootpassword creator keys blobs topomap accounts route hostnames trace syncserver agents tarballs rpms")
		if !slices.Equal(names, want) || s.State != "ISUP" || s.Failures() > 0 {
			t.Errorf("%s", s.Text())
		}
	})
	t.Run("what tmcd was asked until ISUP", func(t *testing.T) {
		n := 0
		asked := i.asked(i.a)
		for command, times := range asked {
			if !slices.Contains([]string{"isalive", "rusage", "startstatus", "watchdoginfo", "hostkeys"}, command) {
				n += times
			}
		}
		if n != 6 { // state, status, fullconfig of the host, fullconfig of the jail, hostnames, state
			t.Errorf("%d questions, want 6: %v", n, asked)
		}
	})
	t.Run("a second run changes nothing", i.changesNothing)
	t.Run("accounts: added, changed, deleted; foreign ones untouched", i.changesAccounts)
	t.Run("a second boot doesn't fetch the tarball, a changed one is installed", i.keepsTarball)
	t.Run("what can't be unpacked is seen, not recorded, and tried again", i.triesTarballAgain)
	t.Run("soft reconfiguration within a second", i.reconfigures)
	t.Run("the watchdog: interval, UPDATE=1", i.watchdogAsks)
}

func (i *inside) changesNothing(t *testing.T) {
	for range 2 {
		i.must("update", "-a", i.a)
		if c := i.changes(i.a, "refresh"); len(c) > 0 {
			t.Errorf("changed: %q", c)
		}
	}
	i.enter(i.a, "injail", "rc", "boot")
	if c := i.changes(i.a, "boot"); len(c) > 0 {
		t.Errorf("by a second boot: %q", c)
	}
	if n := i.sent(); n != 1 {
		t.Errorf("the tarball was sent %d times", n)
	}
}

func (i *inside) changesAccounts(t *testing.T) {
	i.enter(i.a, "useradd", "-m", "-u", "3000", "mallory")
	i.says(i.a, "id bob && touch /users/bob/mine")
	i.change(func(s string) string {
		s = strings.ReplaceAll(s, "  bob: {name: Bob Baker, uid: 10002", "  carol: {name: Carol, uid: 10003, shell: bash, groups: {jails: local_root}}\n  mallory: {uid: 10009, groups: {jails: user}}\n  bob: {name: Bob Baker, uid: 10002")
		return strings.Replace(s, "groups: {jails: user}}\nexp", "groups: {}}\nexp", 1)
	})
	i.must("update", i.a)
	i.says(i.a, "id carol && ! id bob 2>/dev/null && test -e /users/bob/mine")
	if got := i.says(i.a, "id -u mallory"); got == "10009\n" {
		t.Error("an account that was there has been changed")
	}
	if r := step(t, i.summaryOf(i.a, "refresh"), "accounts"); !strings.Contains(strings.Join(r.Warnings, " "), "mallory") {
		t.Errorf("no warning of the foreign account: %+v", r)
	}
	i.must("update", i.a)
	if c := i.changes(i.a, "refresh"); len(c) > 0 {
		t.Errorf("by a second run: %q", c)
	}
}

func (i *inside) keepsTarball(t *testing.T) {
	before := i.sent()
	i.must("reboot", i.a)
	i.reports(i.a, "ISUP")
	if n := i.sent() - before; n != 0 {
		t.Errorf("sent %d times", n)
	}
	i.newer(i.tarball("tools.tar.gz", map[string]string{"tools/hello": "hello again\n"}))
	i.must("update", "--software", i.a)
	if got := i.enter(i.a, "cat", "/opt/tools/hello"); got != "hello again\n" {
		t.Errorf("%q", got)
	}
}

func (i *inside) triesTarballAgain(t *testing.T) {
	file := i.path("web/proj/jails/tools.tar.gz")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, good[:len(good)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	i.newer(file)
	for range 2 {
		if out := i.jailsetup("update", "--software", i.a); out.code != 1 || !strings.Contains(out.stdout, "tarballs     failed") {
			t.Errorf("exit code %d: %s %s", out.code, out.stdout, out.stderr)
		}
	}
	i.must("reboot", i.a)
	i.reports(i.a, "ISUP") // software isn't fatal
	out := i.jailsetup("status", i.a)
	if out.code != 1 || !strings.Contains(out.stdout, "tools.tar.gz") || !strings.Contains(out.stdout, "ISUP after") {
		t.Errorf("status: exit code %d: %s", out.code, out.stdout)
	}
	if err := os.WriteFile(file, good, 0o644); err != nil {
		t.Fatal(err)
	}
	i.newer(file)
	i.must("update", "--software", i.a)
}

func (i *inside) reconfigures(t *testing.T) {
	pid := i.enter(i.a, "cat", "/run/injail/agents.pid")
	i.must("event", "jails/demo", "cbr0", "START", "RATE=8")
	n := 8
	const most = 2 * time.Second // a second, and as much for a machine that has other work
	took := least(most, func() time.Duration { n++; return i.addsProgram(n) })
	if took > most {
		t.Errorf("took %v", took)
	}
	if got := i.agentState(i.a, "cbr0"); got != "sending" {
		t.Errorf("traffic was disturbed: %s", got)
	}
	if now := i.enter(i.a, "cat", "/run/injail/agents.pid"); now != pid {
		t.Error("the agents were started anew")
	}
}

// addsProgram adds a program and a user with that number, and says how long it
// took until the program could be started.
func (i *inside) addsProgram(n int) time.Duration {
	i.t.Helper()
	prog, user := fmt.Sprintf("prog%d", n), fmt.Sprintf("dave%d", n)
	i.change(func(s string) string {
		s = strings.Replace(s, "    programs:\n", fmt.Sprintf("    programs:\n      %s: {node: node-a, command: 'echo %d'}\n", prog, n), 1)
		return strings.Replace(s, "  carol:", fmt.Sprintf("  %s: {uid: %d, shell: bash, groups: {jails: user}}\n  carol:", user, 11000+n), 1)
	})
	began := time.Now()
	i.must("update", "-a", i.a)
	i.must("event", "jails/demo", prog, "START")
	took := time.Since(began)
	i.says(i.a, "id "+user)
	i.await(prog, func() error {
		if got := i.says(i.a, "cat /local/logs/"+prog+".out 2>/dev/null || true"); got != fmt.Sprintln(n) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	return took
}

func (i *inside) watchdogAsks(t *testing.T) {
	// tmcd counts in minutes; what it has said is made seconds here, and read
	// by the next agents process.
	i.says(i.a, "sed -i 's/ISALIVE=[0-9]*/ISALIVE=1/; s/RUSAGE=[0-9]*/RUSAGE=0/' /var/emulab/boot/tmcc/watchdoginfo")
	i.enter(i.a, "sh", "-c", "kill -KILL $(cat /run/injail/agents.pid)")
	before := i.asked(i.a)["isalive"]
	i.await("isalive each second", func() error {
		if n := i.asked(i.a)["isalive"] - before; n < 3 {
			return fmt.Errorf("asked %d times", n)
		}
		return nil
	})
	n := 0
	const most = 4 * time.Second // a second's wait, the update's, and the machine's
	if took := least(most, func() time.Duration { n++; return i.addsAccount(n) }); took > most {
		t.Errorf("after %v", took)
	}
}

// addsAccount adds the nth account at tmcd and says how long it took until the
// jail had it, which nobody told.
func (i *inside) addsAccount(n int) time.Duration {
	i.t.Helper()
	name := fmt.Sprintf("erin%d", n)
	out := i.run("tmcd-mock", "set", "account", "--manage", i.path("mock"), name, "--project", "jails", "--uid", fmt.Sprint(12000+n), "--shell", "bash")
	if out.code != 0 {
		i.t.Fatal(out.err())
	}
	began := time.Now()
	i.await("the account", func() error { return i.jailsetup("enter", "-T", i.a, "id", name).err() })
	return time.Since(began)
}

// newer gives a file a time that the last one didn't have: HTTP counts seconds.
func (i *inside) newer(file string) {
	i.t.Helper()
	st, err := os.Stat(file)
	if err == nil {
		i.later += 2 * time.Second
		err = os.Chtimes(file, time.Time{}, st.ModTime().Add(i.later))
	}
	if err != nil {
		i.t.Fatal(err)
	}
}
