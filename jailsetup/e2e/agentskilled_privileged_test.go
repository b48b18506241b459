//go:build linux && privileged

package e2e

import (
	"strings"
	"testing"
)

// TestAgentsKilledInABoot: the jail's init hears of the agents' end and starts them
// again while the boot that has started them goes on.
func TestAgentsKilledInABoot(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	i.must("update", i.a) // waits for the rest of that boot
	const pidFile, summary = "/run/injail/agents.pid", "/var/emulab/logs/boot.json"
	i.says(i.a, "kill -TERM $(cat "+pidFile+"); rm "+summary)
	i.await("the end of the agents", func() error {
		return i.jailsetup("enter", "-T", i.a, "test", "!", "-e", pidFile).err()
	})
	i.fault("delay", "command=state", "delay=15s", "node="+i.a)
	done := make(chan result, 1)
	go func() { done <- i.jailsetup("enter", "-T", i.a, "injail", "rc", "boot") }()
	i.await("the boot's last question", func() error { return i.jailsetup("enter", "-T", i.a, "test", "-e", summary).err() })
	old := strings.TrimSpace(i.enter(i.a, "cat", pidFile))
	if parent := i.says(i.a, "sed 's/.*) //' /proc/"+old+"/stat | cut -d' ' -f2"); parent != "1\n" {
		t.Errorf("the agents are a child of process %s", parent)
	}
	i.says(i.a, "kill -KILL "+old)
	i.await("the agents to be back", func() error {
		return i.jailsetup("enter", "-T", i.a, "sh", "-c", `test "$(cat `+pidFile+`)" != `+old+` && injail event -status`).err()
	})
	select {
	case out := <-done:
		t.Errorf("only once the boot was over: %v", out.err())
	default:
		if out := <-done; out.code != 0 {
			t.Error(out.err())
		}
	}
	i.noFaults()
	if log := i.enter(i.a, "cat", "/var/log/console.log"); !strings.Contains(log, "agents (process "+old+") were killed; started again as") {
		t.Errorf("the console's log doesn't say so:\n%s", log)
	}
}
