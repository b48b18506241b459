package proxy

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestT31ACgroupIsWaitedForAside: the kernel lets who asks for a process's cgroup
// wait for whoever changes one. Other jails' requests go on meanwhile.
func TestT31ACgroupIsWaitedForAside(t *testing.T) {
	dir := t.TempDir()
	slow := filepath.Join(dir, "1", "cgroup")
	if err := os.Mkdir(filepath.Dir(slow), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(slow, 0o600); err != nil {
		t.Fatal(err)
	}
	proc, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	const wait = 2 * time.Second
	kernel := exec.Command("sh", "-c", "sleep 2; echo 0::/jail > "+slow) // no goroutine of ours: it may get no turn
	if err := kernel.Start(); err != nil {
		t.Fatal(err)
	}
	defer kernel.Wait()

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	start := time.Now()
	other := make(chan time.Duration, 1)
	go func() {
		time.Sleep(wait / 20)
		other <- time.Since(start)
	}()
	path, err := (&attestor{proc: proc}).cgroupPath(1)
	if err != nil || path != "/jail" {
		t.Errorf("cgroup %q, %v", path, err)
	}
	if waited := <-other; waited > wait*3/4 {
		t.Errorf("another one had no turn for %v", waited)
	}
}
