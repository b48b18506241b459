package steps

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is where a daemon of a step is remembered: in /run, which is fresh at
// each boot, with its argument list to tell it from a stranger with its pid.
func pidFile(name string) string { return "/run/injail/" + name + ".pid" }

// daemon starts a program in a session of its own, unless it runs already with
// the same arguments; with others it is ended first.
func (r *Run) daemon(name, log string, argv ...string) error {
	want := strings.Join(argv, "\x00")
	if _, line := r.daemonPID(name); line == want {
		return nil
	}
	if err := r.endDaemon(name); err != nil {
		return err
	}
	out, err := os.OpenFile(r.path(log), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Nobody waits for this goroutine: the daemon outlives us, and is then
	// init's. Until then it is reaped here, so that an ended one isn't found.
	go cmd.Wait()
	if _, err := r.put(pidFile(name), fmt.Appendf(nil, "%d %s\n", cmd.Process.Pid, want), 0o644, false); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	r.did("%s started as process %d", name, cmd.Process.Pid)
	return nil
}

// daemonPID returns the pid and arguments of a daemon that runs, else 0.
func (n *Node) daemonPID(name string) (pid int, argv string) {
	text, err := os.ReadFile(n.path(pidFile(name)))
	if err != nil {
		return 0, ""
	}
	first, argv, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	pid, err = strconv.Atoi(first)
	if err != nil {
		return 0, ""
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(line, []byte(argv)) {
		return 0, ""
	}
	return pid, argv
}

// endDaemon sends TERM, then KILL, and forgets the daemon.
func (r *Run) endDaemon(name string) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		pid, _ := r.daemonPID(name)
		if pid == 0 {
			break
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s, process %d: %w", name, pid, err)
		}
		for deadline := time.Now().Add(endWait); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if now, _ := r.daemonPID(name); now != pid {
				r.did("%s stopped", name)
				break
			}
		}
	}
	if pid, _ := r.daemonPID(name); pid != 0 {
		return fmt.Errorf("stop %s: process %d doesn't end", name, pid)
	}
	if err := os.Remove(r.path(pidFile(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// daemons lists the remembered ones whose names begin with prefix.
func (n *Node) daemons(prefix string) []string {
	entries, err := os.ReadDir(n.path("/run/injail"))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".pid"); ok && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}
