//go:build linux && privileged

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestWatch: an operator watches an experiment: what its jails use, what crosses
// its LAN, and how it looks.
func TestWatch(t *testing.T) {
	r := newRig(t, set{})
	a, b := r.vnodes[0], r.vnodes[1]
	t.Run("nothing is there", func(t *testing.T) {
		if out := r.must("top", "-i", "100ms"); strings.Count(out, "\n") != 1 {
			t.Errorf("top says\n%s", out)
		}
		if out := r.jailsetup("capture", "lan0"); out.code != 1 || !strings.Contains(out.stderr, "no jail with a LAN") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		if out := r.jailsetup("graph", "jails/demo"); out.code != 1 || !strings.Contains(out.stderr, "no jail of experiment") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	r.boot(a)
	r.boot(b)
	t.Run("top", r.watchTop)
	t.Run("capture", r.watchCapture)
	t.Run("what came before the interrupt is captured", r.capturesRest)
	t.Run("captured lines are piped on at once", func(t *testing.T) {
		cmd, out := r.follow(t, "capture", "jails/demo/lan0", "-w", "-")
		if !hears(out) {
			t.Fatal("it hears nothing")
		}
		r.enter(a, "ping", "-c", "1", "-W", "5", "10.1.1.3")
		if !out.Scan() {
			t.Error("nothing comes")
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Run("no such LAN", func(t *testing.T) {
		out := r.jailsetup("capture", "lan7")
		if out.code != 1 || !strings.Contains(out.stderr, "there are: jails/demo/lan0") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	t.Run("graph", func(t *testing.T) {
		r.must("halt", b)
		r.must("graph", "-o", r.path("demo.svg"))
		svg, err := os.ReadFile(r.path("demo.svg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<svg", "jails/demo", "node&#45;a", "10.1.1.2/24", "up", "node&#45;b", "down"} {
			if !strings.Contains(string(svg), want) {
				t.Errorf("doesn't show %q:\n%s", want, svg)
			}
		}
		if dot := r.must("graph", "--dot", "jails/demo"); !strings.HasPrefix(dot, "graph testbed {") || !strings.Contains(dot, `label="node-a\n`+a) {
			t.Errorf("source:\n%s", dot)
		}
	})
	t.Run("capture ends with the experiment", func(t *testing.T) {
		cmd, out := r.follow(t, "capture", "lan0", "-w", "-")
		done := make(chan error, 1)
		if !hears(out) {
			t.Fatal("it hears nothing")
		}
		r.must("halt", a)
		go func() {
			for out.Scan() {
			}
			done <- cmd.Wait()
		}()
		if err := <-done; err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("ended with %v", err)
		}
	})
}

func (r *rig) watchTop(t *testing.T) {
	busy, out, _ := r.background(t, "sh", "-c", "echo ready; while :; do :; done")
	if !out.Scan() {
		t.Fatal("says nothing")
	}
	said := r.must("top", "--json", "-n", "2", "-i", "500ms")
	_ = busy.Process.Kill()
	_ = busy.Wait()
	lines := strings.Split(strings.TrimSpace(said), "\n")
	var round struct {
		Jails []struct {
			VNode   string
			Node    string
			CPU     float64 `json:"cpu_percent"`
			Memory  int64   `json:"memory_bytes"`
			Threads int
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &round); err != nil || len(lines) != 2 {
		t.Fatalf("%d rounds, %v:\n%s", len(lines), err, said)
	}
	first := round.Jails[0]
	if len(round.Jails) != 2 || first.VNode != r.vnodes[0] || first.Node != "node-a" {
		t.Fatalf("says %+v", round)
	}
	if first.CPU < 5 || first.Memory < 1<<20 || first.Threads < 4 {
		t.Errorf("the busy one: %+v", first)
	}
}

// captureHead is how long a captured file is that has no frame yet. It is
// written when the capture hears.
const captureHead = 24

// hears waits until a capture to its output hears. From then on a scan is a byte.
func hears(out *bufio.Scanner) bool {
	out.Split(bufio.ScanBytes)
	for range captureHead {
		if !out.Scan() {
			return false
		}
	}
	return true
}

// capture captures lan0 in a file, and hears.
func (r *rig) capture(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	cmd, _ := r.follow(t, "capture", "lan0", "-w", file)
	r.await("the capture to hear", func() error {
		info, err := os.Stat(file)
		if err == nil && info.Size() < captureHead {
			err = fmt.Errorf("%d bytes", info.Size())
		}
		return err
	})
	return cmd
}

func (r *rig) watchCapture(t *testing.T) {
	a := r.vnodes[0]
	file := r.path("lan0.pcap")
	cmd := r.capture(t, file)
	r.enter(a, "ping", "-c", "3", "-i", "0.2", "-W", "5", "-s", "1000", "10.1.1.3")
	_ = cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Three pings of 1000 bytes of data, there and back, whole.
	if len(data) < 24+6*(16+14+20+8+1000) || string(data[:4]) != "\x4d\x3c\xb2\xa1" {
		t.Errorf("%d bytes were captured", len(data))
	}
	if n := strings.Count(string(data), "\x08\x00\x45"); n < 6 {
		t.Errorf("%d packets, want 6", n)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	out := r.jailsetup("capture", "lan0", "-c", "0", "-s", "3")
	if out.code != 2 {
		t.Errorf("pieces of 3 bytes: exit code %d", out.code)
	}
}

// capturesRest: a capture that has no time is interrupted; what it has heard
// until then is in the file.
func (r *rig) capturesRest(t *testing.T) {
	const pings = 400
	file := r.path("rest.pcap")
	cmd := r.capture(t, file)
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	r.enter(r.vnodes[0], "ping", "-f", "-q", "-c", fmt.Sprint(pings), "-W", "5", "10.1.1.3")
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Wait() // it may complain that it was stopped
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\x08\x00\x45"); n < 2*pings {
		t.Errorf("%d packets, want %d", n, 2*pings)
	}
}
