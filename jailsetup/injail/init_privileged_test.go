//go:build linux && privileged

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOrphansAreReaped(t *testing.T) {
	r := boot(t, setup{rc: "for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'sleep 0.1 & sleep 0.05 & exit 0' &) ; done"})
	eventually(t, "only injail and those who count are left", func() bool {
		return r.sh("set -- /proc/[0-9]*; echo $#") == "2"
	})
}

// TestSignalsAreIgnored: a host that goes down sends TERM to everything, and
// jail root may try his luck too.
func TestSignalsAreIgnored(t *testing.T) {
	r := boot(t, setup{})
	r.sh("true")
	for n := syscall.Signal(1); n < 65; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, 32, 33:
			continue
		}
		if slices.Contains(orders(), os.Signal(n)) {
			continue
		}
		if err := unix.Kill(r.cmd.Process.Pid, n); err != nil {
			t.Fatalf("signal %d: %v", n, err)
		}
		r.sh(fmt.Sprintf("kill -%d 1; kill -CONT 1", n))
	}
	if out := r.sh("echo here"); out != "here" {
		t.Errorf("after all signals: %q", out)
	}
}

func TestChildrenStartWithDefaultSignals(t *testing.T) {
	r := boot(t, setup{})
	for _, word := range []string{"SigIgn", "SigBlk"} {
		if out := r.sh("grep " + word + " /proc/self/status"); !strings.HasSuffix(out, "\t0000000000000000") {
			t.Errorf("%s, want none", out)
		}
	}
}

func TestUSR1EndsAll(t *testing.T) {
	const obey, half = 10 * time.Second, 500 * time.Millisecond // who obeys doesn't wait for it
	tests := []struct {
		name, rc string
		grace    time.Duration
		killed   string // in PID 1's last words; empty: none
	}{
		{"nobody there", "", obey, ""},
		{"all obey", "sleep 1000 & sleep 1000 &", obey, ""},
		{"stopped", "sleep 1000 & kill -STOP $!", obey, ""},
		{"deaf", "(trap '' TERM HUP; while :; do sleep 1000; done) &", half, "sh("},
		{"rc itself is deaf", "trap '' TERM; while :; do sleep 1000; done", half, "sh("},
		{"they fork", "bomb() { trap '' TERM; while :; do sleep 0.01 & sleep 0.02; (sleep 0.05 &); done; }; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do bomb & done", half, "killed after 500ms"},
		{"out of sight", "(trap '' TERM; setsid sh -c 'while :; do sleep 1000; done' &)", half, "sh("},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := boot(t, setup{rc: "(" + tt.rc + "\n:)\ntouch /tmp/ready\n", conf: fmt.Sprintf("GRACE=%v\n", tt.grace.Seconds())})
			if !strings.Contains(tt.name, "itself") {
				eventually(t, "rc has run", func() bool { return r.sh("ls /tmp") != "" })
			} else {
				eventually(t, "rc runs", func() bool { return strings.Contains(r.sh("cat /proc/*/comm 2>/dev/null; true"), "sleep") })
			}
			begin := time.Now()
			if err := unix.Kill(r.cmd.Process.Pid, unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			ws := r.wait(deadline)
			took := time.Since(begin)
			if !ws.Exited() || ws.ExitStatus() != int(unix.SIGUSR1) {
				t.Errorf("wait status %#x, want exit %d", ws, unix.SIGUSR1)
			}
			if deaf := tt.killed != ""; (took >= tt.grace) != deaf {
				t.Errorf("took %v with a grace of %v", took, tt.grace)
			}
			out := r.drainOutput()
			if tt.killed == "" && strings.Contains(out, "killed") || !strings.Contains(out, tt.killed) {
				t.Errorf("last words %q, want %q in them", out, tt.killed)
			}
		})
	}
}

func TestCommandGiven(t *testing.T) {
	tests := []struct {
		name, script string
		want         int
	}{
		{"good", "echo hello; exit 0", 0},
		{"bad", "exit 3", 3},
		{"signalled", "kill -9 $$", 137},
		{"leaves somebody", "sleep 1000 & exit 4", 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := boot(t, setup{argv: []string{"-v", "pcvm1-1", "sh", "-c", tt.script}})
			if ws := r.wait(deadline); ws.ExitStatus() != tt.want {
				t.Errorf("wait status %#x, want exit %d; %s", ws, tt.want, r.drainOutput())
			}
		})
	}
	r := boot(t, setup{argv: []string{"no-such-program"}})
	if ws := r.wait(deadline); ws.ExitStatus() != exitFailed || !strings.Contains(r.drainOutput(), "no-such-program") {
		t.Errorf("missing program: wait status %#x", ws)
	}
}

// TestWordsMeanWhatTheySay is row T36: what is typed inside shows outside as
// the way PID 1 ended.
func TestWordsMeanWhatTheySay(t *testing.T) {
	tests := []struct {
		word string
		want syscall.Signal
	}{
		{"reboot", unix.SIGHUP},
		{"halt", unix.SIGINT},
		{"poweroff", unix.SIGINT},
		{"shutdown -r now", unix.SIGHUP},
		{"shutdown -h now", unix.SIGINT},
		{"halt -p", unix.SIGINT},
		{"reboot -f", unix.SIGHUP},
		{"poweroff -f", unix.SIGINT},
		{"kill -49 1", unix.SIGHUP},
		{"kill -39 1", unix.SIGHUP},
		{"/sbin/reboot", unix.SIGHUP}, // systemd's own, by /run/initctl
		{"/sbin/poweroff", unix.SIGINT},
	}
	for _, tt := range tests {
		t.Run(tt.word, func(t *testing.T) {
			r := boot(t, setup{rc: "sleep 1000 &"})
			r.sh("( sleep 0.05; " + tt.word + " ) >/dev/null 2>&1 &")
			ws := r.wait(deadline)
			if !ws.Signaled() || ws.Signal() != tt.want {
				t.Errorf("%s: wait status %#x, want signal %v; %s", tt.word, ws, tt.want, r.drainOutput())
			}
		})
	}
}

func TestWordsAreRootsOnly(t *testing.T) {
	r := boot(t, setup{})
	for _, word := range []string{"reboot", "halt", "poweroff -f", "shutdown now"} {
		res := r.as("ann", "/usr/local/sbin/"+word)
		if res.exit.Code != exitFailed || res.err == "" {
			t.Errorf("%s as ann: %+v", word, res)
		}
	}
	r.sh("true")
}

// TestWithoutCapSysBoot: the words work still, by exit status.
func TestWithoutCapSysBoot(t *testing.T) {
	s := setup{}
	s.message.Bounding = []int{unix.CAP_SYS_BOOT}
	r := boot(t, s)
	r.sh("( sleep 0.05; reboot ) >/dev/null 2>&1 &")
	if ws := r.wait(deadline); ws.ExitStatus() != 128+int(unix.SIGHUP) {
		t.Errorf("wait status %#x, want exit 129", ws)
	}
}

func TestWhatIsPrepared(t *testing.T) {
	r := boot(t, setup{rc: "echo rc runs as $TMCCVNODEID; false"})
	for script, want := range map[string]string{
		"cat /var/emulab/boot/proxypath":                        "/run/emulab/tmcc",
		"cat /var/emulab/boot/jailname /var/emulab/boot/nodeid": "pcvm1-1\npcvm1-1",
		"cat /etc/hostname":                                     "a.e.p.example.org",
		"grep -w 10.0.0.7 /etc/hosts":                           "10.0.0.7\ta.e.p.example.org a # this jail",
		"ls /var/emulab":                                        "boot\ndb\nlock\nlogs",
		"stat -c %a:%G /run/utmp /var/log/btmp":                 "664:utmp\n660:utmp",
		"stat -c %a /run/lock /var/tmp":                         "1777\n1777",
		"cat /proc/1/comm":                                      "injail pcvm1-1",
		"ls /etc/ssh/*_key":                                     "/etc/ssh/ssh_host_ecdsa_key\n/etc/ssh/ssh_host_ed25519_key",
	} {
		if got := r.sh(script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	eventually(t, "rc's output and status are in the log", func() bool {
		log := r.sh("cat /var/log/console.log")
		return strings.Contains(log, "rc runs as pcvm1-1\n") && strings.Contains(log, "injail: /etc/rc ended with status 1")
	})
}
