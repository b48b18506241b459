package supervise

import (
	"log/slog"
	"os/exec"
	"testing"

	"emujail/jailsetup/jail"
)

// TestNoProxyIsForgotten: a supervisor that notes its proxy and dies before it
// has ended the earlier one leaves both to the next, which can end both.
func TestNoProxyIsForgotten(t *testing.T) {
	site := jail.Site{Run: t.TempDir()}
	start := func() (pid int, ended <-chan error) {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		return cmd.Process.Pid, done
	}
	first, firstEnded := start()
	second, secondEnded := start()

	one := &proxyKeeper{site: site, log: slog.New(slog.DiscardHandler)}
	if err := one.notePID(first); err != nil {
		t.Fatal(err)
	}
	two := &proxyKeeper{site: site, log: one.log}
	before, err := two.pinOld()
	if err != nil || len(before.pidfds) != 1 {
		t.Fatalf("%+v, %v: want the first supervisor's proxy", before.processes, err)
	}
	two.old = &predecessor{noted: before}
	if err := two.notePID(second); err != nil {
		t.Fatal(err)
	}

	three := &proxyKeeper{site: site, log: one.log}
	found, err := three.pinOld()
	if err != nil || len(found.pidfds) != 2 {
		t.Fatalf("%+v, %v: want both", found.processes, err)
	}
	if err := found.end(); err != nil {
		t.Fatal(err)
	}
	<-firstEnded
	<-secondEnded
	if left, err := three.pinOld(); err != nil || len(left.pidfds) != 0 {
		t.Errorf("%+v, %v: they have ended", left.processes, err)
	}
	if err := before.end(); err != nil {
		t.Error(err)
	}
}
