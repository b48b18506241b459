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
		if parent := stateOf(pid)[1]; pid == 0 || parent == "" || parent == strconv.Itoa(os.Getpid()) {
			t.Errorf("agents are process %d, child of %s", pid, parent)
		}
		kill(t, pid)
	}
	j.boot()
}
