//go:build linux && privileged

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// follow starts a verb that goes on until it is interrupted, at the latest by a
// watchdog, and returns its output, line by line.
func (r *rig) follow(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(program("jailsetup"), append([]string{"--site", r.path("site.yaml")}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(verbTimeout/3, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(stdout)
}

// noneInside is nil if no process in the first vnode's jail has the words in
// its command line.
func (r *rig) noneInside(words string) error {
	out := r.enter(r.vnodes[0], "sh", "-c", `for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <$f; echo; done`)
	for line := range strings.Lines(out) {
		if strings.Contains(line, words) && !strings.HasPrefix(line, "sh -c") {
			return fmt.Errorf("runs inside: %s", line)
		}
	}
	return nil
}
