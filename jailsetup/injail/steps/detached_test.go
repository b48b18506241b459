package steps

import (
	"context"
	"os"
	"strconv"
	"testing"
)

// TestAgentsAreInits: nothing that the configuration starts the agents by is their
// parent, whatever it still has to do: init hears of their end, and starts them
// again.
func TestAgentsAreInits(t *testing.T) {
	j := newJail(t)
	j.boot()
	for _, start := range []func() error{
		func() error { return nil },
		func() error { return j.Update(context.Background(), nil, false, false) },
	} {
		if err := start(); err != nil {
			t.Fatal(err)
		}
		pid := j.agentsPID()
		if parent := statOf(pid).parent; pid == 0 || parent == "" || parent == strconv.Itoa(os.Getpid()) {
			t.Errorf("agents are process %d, child of %s", pid, parent)
		}
		kill(t, pid)
	}
	j.boot()
}

// TestStartupCommandAfterAKill: agents that were killed as the boot comes to its end
// run the start-up command once they are back.
func TestStartupCommandAfterAKill(t *testing.T) {
	j := newJail(t)
	j.addSelf()
	j.boot()
	kill(t, j.agentsPID())
	mustWrite(t, j.path(bootDir+"/tmcc/startupcmd"), "CMD='exit 7' UID=self\n")
	done := make(chan error, 1)
	go func() { done <- j.tellUp(context.Background()) }()
	if _, err := j.spawnAgents(context.Background()); err != nil { // as init does
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	await(t, "startstatus", func() bool { return j.tmcd.count("startstatus 7") == 1 })
}
