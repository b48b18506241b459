//go:build linux && privileged

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDebianBoots is the real /etc/rc with Debian's own programs: a syslogd
// that takes messages, a cron that knows the crontab, an sshd that lets root
// in by key and nobody by another way, all gone within the grace period.
func TestDebianBoots(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	const grace = 5 * time.Second
	r := boot(t, setup{rc: "-", conf: fmt.Sprintf("GRACE=%v\n", grace.Seconds()), files: map[string]string{
		"/etc/emulab/nojail":         "",
		"/root/.ssh/authorized_keys": string(public),
		"/tmp/key":                   string(private),
	}})
	eventually(t, "rc has run", func() bool {
		return strings.Contains(r.sh("cat /var/log/console.log"), "nojail exists")
	})
	if log := r.sh("cat /var/log/console.log"); strings.Count(log, "\n") != 0 {
		t.Errorf("the console log should have the one line of rc.local:\n%s", log)
	}
	comms := "\n" + r.sh("cat /proc/[0-9]*/comm 2>/dev/null; true") + "\n"
	for _, name := range []string{"busybox", "cron", "sshd"} {
		if !strings.Contains(comms, "\n"+name+"\n") {
			t.Errorf("%s doesn't run, only %q", name, comms)
		}
	}
	r.sh("ip link set lo up; chmod 600 /tmp/key; chmod 700 /root/.ssh")
	r.sh("busybox logger -t test hello from inside")
	eventually(t, "the message is in the log", func() bool {
		return strings.Contains(r.sh("cat /var/log/messages"), "hello from inside")
	})
	sshd := r.sh("/usr/sbin/sshd -T")
	for _, want := range []string{"x11forwarding no", "usepam yes", "permitrootlogin without-password", "kbdinteractiveauthentication no", "subsystem sftp /usr/lib/openssh/sftp-server"} {
		if !strings.Contains(sshd, want+"\n") {
			t.Errorf("sshd doesn't say %q", want)
		}
	}
	const ssh = "ssh -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/tmp/known -o LogLevel=ERROR "
	if out := r.sh(ssh + "-i /tmp/key root@127.0.0.1 'tty; id -un; echo $PATH'"); !strings.HasPrefix(out, "not a tty\nroot\n/usr/local/sbin:") {
		t.Errorf("ssh: %q", out)
	}
	if res := r.as("root", ssh+"-o PreferredAuthentications=password,keyboard-interactive root@127.0.0.1 true"); res.exit.Code != 255 || !strings.Contains(res.err, "denied") {
		t.Errorf("ssh without the key: %+v", res)
	}
	if out := r.sh(ssh + "-i /tmp/key root@127.0.0.1 -s sftp </dev/null; echo $?"); out != "0" {
		t.Errorf("sftp: %s", out)
	}
	if out := r.sh("cut -d' ' -f2 /tmp/known | sort -u"); out != "ecdsa-sha2-nistp256\nssh-ed25519" && out != "ssh-ed25519" {
		t.Errorf("host keys: %s", out)
	}
	r.sh("crontab -l 2>/dev/null; ! grep -i error /var/log/messages")
	if err := unix.Kill(r.cmd.Process.Pid, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if ws := r.wait(deadline); ws.ExitStatus() != exitSignalled || time.Since(begin) >= grace {
		t.Errorf("wait status %#x after %v: everything should have obeyed TERM; %s", ws, time.Since(begin), r.drainOutput())
	}
}
