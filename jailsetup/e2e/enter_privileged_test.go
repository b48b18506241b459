//go:build linux && privileged

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEnter: what a session in a jail looks like from a shell outside.
func TestEnter(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	for _, c := range []struct {
		name   string
		args   []string // of enter
		code   int
		stdout string
		stderr string // contained
	}{
		{"output", []string{v, "echo", "hello"}, 0, "hello\n", ""},
		{"arguments are not a shell's", []string{v, "echo", "$HOME;  two  blanks", "*"}, 0, "$HOME;  two  blanks *\n", ""},
		{"exit code", []string{v, "sh", "-c", "exit 7"}, 7, "", ""},
		{"death by a signal", []string{v, "sh", "-c", "kill -KILL $$"}, 128 + 9, "", ""},
		{"error output", []string{v, "sh", "-c", "echo out; echo err >&2"}, 0, "out\n", "err\n"},
		{"no such command", []string{v, "nosuchcommand"}, 1, "", "nosuchcommand"},
		{"a shell's words", []string{v, "ps aux; x"}, 1, "", "jailsetup: enter " + v + ": ps aux; x: command not found (for a shell: jailsetup enter " + v + " sh -c '…')\n"},
		{"a shell's words with a path", []string{v, "/bin/ls | wc"}, 1, "", ": run /bin/ls | wc in /root as root: no such file or directory (for a shell: "},
		{"two dashes before the command", []string{v, "--", "ls", "-d", "/root"}, 0, "/root\n", ""},
		{"options are the command's", []string{v, "ls", "-d", "/root"}, 0, "/root\n", ""},
		{"root by default, at home", []string{v, "sh", "-c", "id -un; pwd; echo $HOME"}, 0, "root\n/root\n/root\n", ""},
		{"another user", []string{"-u", "daemon", v, "id", "-un"}, 0, "daemon\n", ""},
		{"a user that isn't there", []string{"-u", "mallory", v, "id"}, 1, "", "mallory"},
		{"a user that is a path", []string{"-u", "../etc/passwd", v, "id"}, 1, "", "../etc/passwd"},
		{"no terminal", []string{v, "tty"}, 1, "not a tty\n", ""},
		{"no input", []string{v, "cat"}, 0, "", ""},
		{"host name", []string{v, "hostname"}, 0, "node-a.demo.jails.emulab.test\n", ""},
		{"what is said last is heard", []string{v, "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; exit 4"}, 4, strings.Repeat("x", 300000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := r.jailsetup(append([]string{"enter"}, c.args...)...)
			if out.code != c.code || out.stdout != c.stdout || !strings.Contains(out.stderr, c.stderr) || c.stderr == "" && out.stderr != "" {
				t.Errorf("exit code %d, stdout %.80q (%d bytes), stderr %q", out.code, out.stdout, len(out.stdout), out.stderr)
			}
		})
	}
	t.Run("input", func(t *testing.T) {
		sent := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16) // 1 MiB
		cmd := r.command(context.Background(), "jailsetup", "--site", r.path("site.yaml"), "enter", v, "cat")
		cmd.Stdin = bytes.NewReader(sent)
		if out := r.finish(cmd); out.code != 0 || out.stdout != string(sent) {
			t.Errorf("exit code %d, %d bytes of %d came back", out.code, len(out.stdout), len(sent))
		}
	})
	t.Run("signals", r.enterSignal)
	t.Run("the third signal ends it", r.enterSignals)
	t.Run("the command ends with a killed enter", r.enterKilled)
	t.Run("terminal", r.enterTerminal)
	t.Run("ten at once", r.enterMany)
}

// background starts enter and returns its output, line by line.
func (r *rig) background(t *testing.T, argv ...string) (*exec.Cmd, *bufio.Scanner, io.WriteCloser) {
	t.Helper()
	args := append([]string{"--site", r.path("site.yaml"), "enter", "-T", r.vnodes[0]}, argv...)
	cmd := exec.Command(program("jailsetup"), args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(verbTimeout/3, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(stdout), stdin
}

func (r *rig) enterSignal(t *testing.T) {
	cmd, out, _ := r.background(t, "sh", "-c", `trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done`)
	if !out.Scan() || out.Text() != "ready" {
		t.Fatalf("says %q", out.Text())
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if !out.Scan() || out.Text() != "got" {
		t.Errorf("says %q", out.Text())
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d", code)
	}
}

// enterSignals: a jail can't hold the host's command, whatever it makes of signals.
func (r *rig) enterSignals(t *testing.T) {
	cmd, out, _ := r.background(t, "sh", "-c", `trap 'echo got' TERM; echo got; while :; do sleep 0.05; done`)
	for range 3 {
		if !out.Scan() || out.Text() != "got" {
			t.Fatalf("says %q", out.Text())
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func (r *rig) enterKilled(t *testing.T) {
	cmd, out, _ := r.background(t, "sh", "-c", "echo $$; exec sleep 1000")
	if !out.Scan() {
		t.Fatal("says nothing")
	}
	pid := out.Text()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	err := until(10*time.Second, func() error {
		if out := r.jailsetup("enter", r.vnodes[0], "test", "-d", "/proc/"+pid); out.code != 1 {
			return fmt.Errorf("process %s is still there (exit code %d)", pid, out.code)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func (r *rig) enterMany(t *testing.T) {
	const n = 10
	errs := make(chan error, n)
	for i := range n {
		go func() {
			want := fmt.Sprintf("number %d\n", i)
			out, err := exec.Command(program("jailsetup"), "--site", r.path("site.yaml"), "enter", "-T", r.vnodes[0],
				"sh", "-c", fmt.Sprintf("sleep 0.3; echo number %d", i)).CombinedOutput()
			if err == nil && string(out) != want {
				err = fmt.Errorf("says %q, want %q", out, want)
			} else if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// person sits at a terminal.
type person struct {
	*os.File
	shown []byte // and not yet looked at
}

// terminal opens a pseudo-terminal: the person's side, and its inner end.
func terminal(t *testing.T) (who *person, inner *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	inner, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	who = &person{File: os.NewFile(uintptr(fd), "ptmx")}
	t.Cleanup(func() { who.Close(); inner.Close() })
	return who, inner
}

// see waits until the terminal shows the words, and returns all up to them.
func (p *person) see(t *testing.T, words string) string {
	t.Helper()
	buf := make([]byte, 4096)
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		if i := bytes.Index(p.shown, []byte(words)); i >= 0 {
			seen := string(p.shown[:i+len(words)])
			p.shown = p.shown[i+len(words):]
			return seen
		}
		n, err := p.Read(buf)
		if p.shown = append(p.shown, buf[:n]...); err != nil {
			t.Fatalf("terminal: %v; shows %q, want %q", err, p.shown, words)
		}
	}
}

func (r *rig) enterTerminal(t *testing.T) {
	who, inner := terminal(t)
	if err := unix.IoctlSetWinsize(int(inner.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(inner.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program("jailsetup"), "--site", r.path("site.yaml"), "enter", r.vnodes[0])
	cmd.Env = append(os.Environ(), "TERM=vt100")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inner, inner, inner
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(verbTimeout/3, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	type_ := func(line string) { fmt.Fprint(who, line) }
	who.see(t, "# ")
	type_("tty; stty size; echo \"$TERM-$((40+2))\"\r")
	shown := who.see(t, "vt100-42")
	for _, want := range []string{"/dev/pts/", "33 77"} {
		if !strings.Contains(shown, want) {
			t.Errorf("terminal shows %q, not %q", shown, want)
		}
	}
	if err := unix.IoctlSetWinsize(int(inner.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 60}); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGWINCH)
	type_("until [ \"$(stty size)\" = '20 60' ]; do sleep 0.05; done; echo ok-$((1+1))\r")
	who.see(t, "ok-2")
	who.see(t, "# ")
	type_("sh -c 'echo begun-$((1+1)); exec sleep 1000'\r") // its words say that the terminal is its
	who.see(t, "begun-2")
	type_("\x03") // interrupts what runs inside, not enter
	who.see(t, "# ")
	type_("exit 5\r")
	_ = who.SetReadDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, who) }() // else the last words block enter
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 5 {
		t.Errorf("exit code %d", code)
	}
	after, err := unix.IoctlGetTermios(int(inner.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("terminal settings are not as before (%v)", err)
	}
}
