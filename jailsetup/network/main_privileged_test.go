//go:build linux && privileged

package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inside says that this process is the one whose network namespace the tests
// take for the host's.
const inside = "EMUJAIL_NETWORK_TEST_INSIDE"

// TestMain runs the tests again in a network and mount namespace of their own:
// what they take for the host is thrown away with them.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		before := openFiles()
		code := m.Run()
		if left := openFiles(); code == 0 && len(left) > len(before) {
			fmt.Fprintln(os.Stderr, "descriptors left open:", left)
			code = 1
		}
		os.Exit(code)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start tests in namespaces of their own (needs root):", err)
		os.Exit(1)
	}
}

// openFiles lists what this process has open, but for the runtime's own.
func openFiles() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil || strings.HasPrefix(to, "anon_inode:") {
			continue
		}
		out = append(out, to)
	}
	return out
}
