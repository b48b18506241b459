package etcfiles_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/injail/etcfiles"
)

func TestFiles(t *testing.T) {
	want := map[string]string{
		"/etc/crontab": "0644", "/etc/fstab": "0644", "/etc/hosts": "0644", "/etc/motd": "0644", "/etc/nsswitch.conf": "0644",
		"/etc/rc": "0755", "/etc/rc.conf": "0644", "/etc/rc.local": "0755", "/etc/ssh/sshd_config": "0644",
	}
	files := etcfiles.Files()
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
	for _, f := range files {
		if got := "0" + strings.TrimPrefix(modeDigits(f), "0"); got != want[f.Path] {
			t.Errorf("%s has mode %s, want %q", f.Path, got, want[f.Path])
		}
		if len(f.Data) > 0 && !bytes.HasSuffix(f.Data, []byte("\n")) {
			t.Errorf("%s doesn't end with a newline", f.Path)
		}
		if strings.HasPrefix(string(f.Data), "#!") != (f.Mode == 0o755) {
			t.Errorf("%s: a script and its mode don't agree", f.Path)
		}
	}
}

func modeDigits(f etcfiles.File) string {
	return string([]byte{'0' + byte(f.Mode>>6&7), '0' + byte(f.Mode>>3&7), '0' + byte(f.Mode&7)})
}

func file(t *testing.T, path string) etcfiles.File {
	t.Helper()
	for _, f := range etcfiles.Files() {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("no %s", path)
	return etcfiles.File{}
}

// TestScriptsParse holds the scripts against each shell that /bin/sh may be.
func TestScriptsParse(t *testing.T) {
	for _, path := range []string{"/etc/rc", "/etc/rc.conf", "/etc/rc.local"} {
		for _, shell := range [][]string{{"dash"}, {"bash", "--posix"}} {
			args := append(shell[1:], "-n")
			cmd := exec.Command(shell[0], args...)
			cmd.Stdin = bytes.NewReader(file(t, path).Data)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s -n %s: %v\n%s", shell[0], path, err, out)
			}
		}
	}
}

// TestRC runs /etc/rc with programs that tell how they were called, and its
// paths moved into a folder of the test.
func TestRC(t *testing.T) {
	tests := []struct {
		name, conf, rcconf, local string
		missing                   string
		want                      string
		code                      int
	}{
		{"as it comes", "", "", "exit 0", "", "busybox syslogd\ncron\nsshd\n", 0},
		{"with a port", "SSHDPORT=\"30000\"\n", "", "exit 0", "", "busybox syslogd\ncron\nsshd -p 30000\n", 0},
		{"flags are words", "", "sshd_flags='-o A=b -d'\n", "exit 0", "", "busybox syslogd\ncron\nsshd -o A=b -d\n", 0},
		{"switched off", "", "cron_enable=NO\nsshd_enable=no\nsyslogd_enable=\n", "exit 0", "", "", 0},
		{"lower case", "", "cron_enable=yes\nsshd_enable=no\nsyslogd_enable=no\n", "exit 0", "", "cron\n", 0},
		{"not installed", "", "", "exit 0", "cron", "busybox syslogd\nrc: cron not started: there is no cron\nsshd\n", 0},
		{"rc.local's status is rc's", "", "", "echo local; exit 7", "", "busybox syslogd\ncron\nsshd\nlocal\n", 7},
		{"one that fails", "", "cron_flags=fail\n", "exit 0", "", "busybox syslogd\ncron fail\nrc: cron not started: cron ended with status 3\nsshd\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"busybox", "cron", "sshd"} {
				if name != tt.missing {
					write(name, "#!/bin/sh\necho "+name+" \"$@\" | sed 's/ *$//'\ncase $1 in fail) exit 3 ;; esac\n")
				}
			}
			write("jail.conf", tt.conf)
			write("rc.conf", string(file(t, "/etc/rc.conf").Data)+tt.rcconf)
			write("rc.local", tt.local)
			script := strings.NewReplacer(
				"/run/emulab/jail.conf", dir+"/jail.conf", "/etc/rc.conf", dir+"/rc.conf", "/etc/rc.local", dir+"/rc.local",
				"/usr/sbin/sshd", dir+"/sshd", "PATH=/usr/local/etc/emulab:/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin", "PATH="+dir+":/bin",
			).Replace(string(file(t, "/etc/rc").Data))
			if tt.missing != "" { // the host may have it in /bin
				os.Symlink("/bin/sed", dir+"/sed")
				os.Symlink("/bin/sh", dir+"/sh")
				script = strings.Replace(script, "PATH="+dir+":/bin", "PATH="+dir, 1)
			}
			cmd := exec.Command("/bin/sh")
			cmd.Stdin = strings.NewReader(script)
			out, err := cmd.CombinedOutput()
			if got := strings.ReplaceAll(string(out), dir+"/", ""); got != tt.want || cmd.ProcessState.ExitCode() != tt.code {
				t.Errorf("got %q, %v; want %q, exit %d", got, err, tt.want, tt.code)
			}
		})
	}
}
