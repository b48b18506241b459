//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Names in the environment of the process that is inside the namespaces.
const (
	insideVar = "EMUJAIL_E2E_DIR" // the run's directory, with the programs
	keyVar    = "EMUJAIL_E2E_KEY" // begins the names of the run's vnodes
)

// TestMain builds the programs and runs the tests again in a network and mount
// namespace of their own: what they take for the host goes with them.
func TestMain(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		os.Exit(runInside(m))
	}
	code, err := runOutside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	}
	os.Exit(code)
}

func runOutside() (int, error) {
	// Short: the paths of unix sockets lie below it.
	dir, err := os.MkdirTemp("/tmp", "e")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs a program as nobody
		return 1, err
	}
	if err := buildPrograms(filepath.Join(dir, "bin")); err != nil {
		return 1, err
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVar+"="+dir, keyVar+"=t"+strconv.FormatInt(time.Now().UnixNano()%1e12, 36))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("start tests in namespaces of their own (needs root): %w", err)
	}
	return 0, nil
}

// buildPrograms builds what a host needs, as `make build` does, and the program
// that is put inside.
func buildPrograms(bin string) error {
	err := goBuild("-o", bin+"/", "emujail/jailsetup", "emujail/tmcd-mock", "emujail/jailsetup/injail",
		"emujail/jailsetup/injail/injail-rc", "emujail/jailsetup/spawn/jailspawn", "emujail/jailsetup/shape/delaynode",
		"emujail/jailsetup/picture/jailpicture", "emujail/jailsetup/e2e/inside")
	if err == nil {
		err = goBuild("-tags", "lean", "-o", bin+"/tmcc", "emujail/tmcc")
	}
	if err == nil {
		err = goBuild("-o", bin+"/tmcc-full", "emujail/tmcc")
	}
	return err
}

func goBuild(args ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags", "-s -w"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return nil
}

// runInside runs the tests and compares the host's listings before and after.
func runInside(m *testing.M) int {
	if err := prepareHost(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: prepare the tests' host:", err)
		return 1
	}
	before, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	files := openFiles()
	code := m.Run()
	if code != 0 {
		return code
	}
	err = until(5*time.Second, func() error {
		now, err := list()
		if err != nil {
			return err
		}
		return before.Diff(now)
	})
	if left := openFiles(); len(left) > len(files) {
		err = errors.Join(err, fmt.Errorf("descriptors left open: %s", strings.Join(left, " ")))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: not as before the tests:", err)
		return 1
	}
	return 0
}

func prepareHost() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// runDir is the run's directory, key what its vnodes' names begin with.
func runDir() string { return os.Getenv(insideVar) }
func runKey() string { return os.Getenv(keyVar) }

func program(name string) string { return filepath.Join(runDir(), "bin", name) }

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

// until tries f until it succeeds.
func until(most time.Duration, f func() error) error {
	deadline := time.Now().Add(most)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s: %w", most, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
