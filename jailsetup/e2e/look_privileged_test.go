//go:build linux && privileged

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestLookAndFeel walks through a jail as an experimenter would. "The goal was
// to make a jail look so close that the user did not mind."
func TestLookAndFeel(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	i.boot(i.b)

	key, err := os.ReadFile(i.path("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if out := i.ssh("alice", i.a, "umask 077; cat >.ssh/id_ed25519 <<'.'\n"+string(key)+".\n"); out.code != 0 {
		t.Fatal(out.err())
	}

	t.Run("status shows a boot without a failure", func(t *testing.T) {
		out := i.must("status", i.a)
		for _, want := range []string{i.a + " is up (boot 1)", "accounts", "ISUP after", "0 of"} {
			if !strings.Contains(out, want) {
				t.Errorf("doesn't say %q:\n%s", want, out)
			}
		}
	})
	// Each line is typed by alice after she has logged in by ssh.
	for _, tt := range []struct{ name, line, want string }{
		{"host name", "hostname", "node-a.demo.jails.emulab.test\n"},
		{"short host name", "hostname -s", "node-a\n"},
		{"who am I", "id -un; id -gn; pwd; echo $HOME $SHELL", "alice\njails\n/users/alice\n/users/alice /bin/bash\n"},
		{"ssh to the other node by name", sshInside + "node-b hostname -s", "node-b\n"},
		{"ssh to the other node by its name on the LAN", sshInside + "node-b-lan0 hostname -s", "node-b\n"},
		{"ping", "ping -c 2 -i 0.2 -W 2 -q node-b | grep -c ' 0% packet loss'", "1\n"},
		{"traceroute", "traceroute -n -w 1 -m 3 node-b | tail -1 | grep -c 10.1.1.3", "1\n"},
		{"sudo without a password", "sudo -n id -un", "root\n"},
		{"tmcc", "tmcc status", "ALLOCATED=jails/demo NICKNAME=node-a\n"},
		{"tmcc says who we are", "tmcc nodeid", i.a + "\n"},
		{"hosts", "getent hosts node-b | awk '{print $1}'", "10.1.1.3\n"},
		{"logs", "test -r /local/logs && sudo -n touch /local/logs/mine && ls /local/logs/mine", "/local/logs/mine\n"},
		{"project's directory", "test -d /proj && test -d /users && echo ok", "ok\n"},
		{"locale", "locale 2>&1 | grep -c LANG=; locale -a | grep -ic 'c.utf'", "1\n1\n"},
		{"time zone", "date +%Z | grep -c .", "1\n"},
		{"the clock is the host's", fmt.Sprintf("test $(date +%%s) -ge %d && echo ok", time.Now().Unix()), "ok\n"},
		{"a temporary file", "f=$(mktemp) && echo x >$f && cat $f && rm $f", "x\n"},
		{"processes are the jail's only", "ps -e -o comm= | grep -c dockerd", "0\n"},
		{"PID 1", "cat /proc/1/comm | cut -c1-6", "injail\n"},
		{"software", "cat /opt/tools/hello", "hello\n"},
		{"the start-up command has run", "cat /tmp/started", "started\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := i.ssh("alice", i.a, tt.line)
			if out.stdout != tt.want {
				t.Errorf("%s: %q (%s), want %q", tt.line, out.stdout, strings.TrimSpace(out.stderr), tt.want)
			}
		})
	}
	t.Run("tcpdump on the experiment's interface", func(t *testing.T) {
		line := "sudo -n timeout 30 tcpdump -n -c 2 -i eth1 icmp >/tmp/seen 2>&1 & " +
			"for n in $(seq 400); do grep -qs 'listening on' /tmp/seen && break; sleep 0.05; done; " +
			"ping -c 3 -i 0.2 -q node-b >/dev/null; wait; grep -c 'ICMP echo' /tmp/seen"
		if out := i.ssh("alice", i.a, line); out.stdout != "2\n" {
			t.Errorf("%q %q\n%s", out.stdout, out.stderr, i.says(i.a, "cat /tmp/seen"))
		}
	})
	t.Run("prompt and terminal", func(t *testing.T) {
		out := typeAt(t, i, "alice", "PS1='\\u@\\h:\\w\\$ '\n", "tty; stty size\n", "exit\n")
		for _, want := range []string{"alice@node-a:~$", "/dev/pts/"} {
			if !strings.Contains(out, want) {
				t.Errorf("doesn't show %q: %q", want, out)
			}
		}
	})
	t.Run("who and last", func(t *testing.T) {
		out := typeAt(t, i, "alice", "who\n", "last -n 3\n", "exit\n")
		if n := strings.Count(out, "alice"); n < 3 || !strings.Contains(out, "pts/") {
			t.Errorf("alice isn't there: %q", out)
		}
	})
	t.Run("bob isn't an administrator", i.bobIsNoAdministrator)
	t.Run("su with a password", i.suWithPassword)
	t.Run("passwd", i.changesPassword)
	t.Run("a cron job", i.cronJob)
	t.Run("names of accounts that were there are kept", func(t *testing.T) {
		if out := i.says(i.a, "getent passwd root nobody sshd | wc -l"); out != "3\n" {
			t.Errorf("%q", out)
		}
	})
}

func (i *inside) bobIsNoAdministrator(t *testing.T) {
	if out := i.ssh("bob", i.a, "sudo -n id -un"); out.code == 0 {
		t.Errorf("%q", out.stdout)
	}
	if out := i.ssh("bob", i.a, "tmcc status"); out.stdout != "ALLOCATED=jails/demo NICKNAME=node-a\n" {
		t.Errorf("tmcc by an ordinary user: %q %q", out.stdout, out.stderr)
	}
}

func (i *inside) suWithPassword(t *testing.T) {
	line := fmt.Sprintf("echo %q | su alice -c 'id -un'", alicesPassword)
	if out := i.ssh("bob", i.a, line); out.stdout != "alice\n" {
		t.Errorf("%q %q", out.stdout, out.stderr)
	}
	if out := i.ssh("bob", i.a, "echo wrong | su alice -c 'id -un'"); out.code == 0 {
		t.Errorf("with a wrong one: %q", out.stdout)
	}
}

func (i *inside) changesPassword(t *testing.T) {
	line := fmt.Sprintf("printf '%%s\\n' '%s' 'battery staple 7' 'battery staple 7' | passwd", alicesPassword)
	if out := i.ssh("alice", i.a, line); out.code != 0 {
		t.Fatalf("%q %q", out.stdout, out.stderr)
	}
	if out := i.ssh("bob", i.a, "echo 'battery staple 7' | su alice -c 'id -un'"); out.stdout != "alice\n" {
		t.Errorf("%q %q", out.stdout, out.stderr)
	}
}

func (i *inside) cronJob(t *testing.T) {
	// cron looks at the minute: what is due in the next one is seen to run.
	if out := i.ssh("alice", i.a, "echo '* * * * * id -un >>/tmp/cron.ran' | crontab - && crontab -l"); !strings.Contains(out.stdout, "cron.ran") {
		t.Fatalf("%q %q", out.stdout, out.stderr)
	}
	if err := until(75*time.Second, func() error {
		if got := i.ssh("alice", i.a, "cat /tmp/cron.ran").stdout; !strings.HasPrefix(got, "alice\n") {
			return fmt.Errorf("%q", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// sshInside is ssh from a jail to another with the key that came along.
const sshInside = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR "

// typeAt types lines at a terminal of alice's, by ssh with a pty.
func typeAt(t *testing.T, i *inside, user string, lines ...string) string {
	t.Helper()
	j, _ := i.info(i.a)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", "-tt", "-i", i.path(user), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", user+"@"+j.Address)
	cmd.Stdin = strings.NewReader(strings.Join(lines, ""))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("ssh: %v: %s", err, out)
	}
	return string(out)
}
