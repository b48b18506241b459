package trafgen

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestIperfEndedIsLeftAlone: once a flow's program has ended, whoever has its
// number now isn't signalled.
func TestIperfEndedIsLeftAlone(t *testing.T) {
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- other.Wait() }()
	i := &iperf{cmd: other, ended: make(chan struct{})}
	close(i.ended)
	i.close()
	select {
	case err := <-gone:
		t.Errorf("another process was ended: %v", err)
	case <-time.After(200 * time.Millisecond):
		if err := other.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-gone
	}
}
