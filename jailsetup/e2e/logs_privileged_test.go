//go:build linux && privileged

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLogs: an operator looks at what a jail logs, and jail root plays tricks.
func TestLogs(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.enter(v, "sh", "-c", `
		echo 'from the console' >>/var/log/console.log
		printf 'colour \033[31m, title \033]0;x\007\n' >/var/emulab/logs/tricks.log
		ln -s /etc/shadow /var/emulab/logs/link.log
		mkfifo /var/emulab/logs/fifo.log
		mkdir -p /local/logs && echo 'a program' >/local/logs/prog0.out`)

	t.Run("all of them", func(t *testing.T) {
		out := r.jailsetup("logs", v)
		for _, want := range []string{"from the console\n", "==> /var/emulab/logs/boot.log <==\n", `colour \x1b[31m, title \x1b]0;x\x07`, "a program\n"} {
			if !strings.Contains(out.stdout, want) {
				t.Errorf("doesn't show %q:\n%s", want, out.stdout)
			}
		}
		for _, want := range []string{"link.log: is a link", "fifo.log: is no plain file"} {
			if !strings.Contains(out.stderr, want) {
				t.Errorf("doesn't say %q:\n%s", want, out.stderr)
			}
		}
		if out.code != 0 || strings.Contains(out.stdout, "root:") || strings.ContainsRune(out.stdout, 0x1b) {
			t.Errorf("exit code %d:\n%s", out.code, out.stdout)
		}
	})
	for _, c := range []struct {
		name, log string
		options   []string
		code      int
		stdout    string
		stderr    string // contained
	}{
		{"one by its name", "prog0", nil, 0, "==> /local/logs/prog0.out <==\na program\n", ""},
		{"by its node's name", "prog0.out", nil, 0, "==> /local/logs/prog0.out <==\na program\n", ""},
		{"raw", "tricks", []string{"--raw"}, 0, "==> /var/emulab/logs/tricks.log <==\ncolour \x1b[31m, title \x1b]0;x\a\n", ""},
		{"a link", "link", nil, 1, "", "is a link"},
		{"a fifo", "fifo", nil, 1, "", "is no plain file"},
		{"not there", "nothing", nil, 1, "", "no such log"},
		{"a path", "../etc/passwd", nil, 2, "", "want a file's name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := r.jailsetup(append(append([]string{"logs"}, c.options...), "node-a", c.log)...)
			if out.code != c.code || out.stdout != c.stdout || !strings.Contains(out.stderr, c.stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", out.code, out.stdout, out.stderr)
			}
		})
	}
	t.Run("followed until interrupted", r.logsFollowed)
	t.Run("of a halted jail", func(t *testing.T) {
		r.must("halt", v)
		out := r.jailsetup("logs", v)
		if out.code != 1 || !strings.Contains(out.stderr, "is halted") || !strings.Contains(out.stderr, "jailsetup boot "+v) {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	t.Run("of no jail", func(t *testing.T) {
		out := r.jailsetup("logs", "nobody")
		if out.code != 1 || !strings.Contains(out.stderr, "no such jail") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
}

func (r *rig) logsFollowed(t *testing.T) {
	v := r.vnodes[0]
	cmd, out := r.follow(t, "logs", "-f", "-n", "1", v, "console")
	if !out.Scan() || !strings.Contains(out.Text(), "console.log") || !out.Scan() {
		t.Fatalf("says %q", out.Text())
	}
	r.enter(v, "sh", "-c", "echo added >>/var/log/console.log")
	if !out.Scan() || out.Text() != "added" {
		t.Errorf("says %q", out.Text())
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(waitTimeout, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if err := until(waitTimeout, func() error { return r.noneInside("injail cat") }); err != nil {
		t.Error(err)
	}
}
