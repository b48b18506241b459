//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/injail/trafgen"
)

// lastLine is the newest record of a generator's log.
func (i *inside) lastLine(vnode, name string) trafgen.Line {
	i.t.Helper()
	var l trafgen.Line
	out := i.says(vnode, "tail -n 1 /local/logs/"+name+".json 2>/dev/null || true")
	if strings.TrimSpace(out) == "" {
		return l
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		i.t.Fatalf("%q: %v", out, err)
	}
	return l
}

// settled is the generator's total once it doesn't grow any more.
func (i *inside) settled(vnode, name string) trafgen.Numbers {
	i.t.Helper()
	i.awaitState(i.a, strings.Replace(name, "null", "cbr", 1), "waiting")
	last := i.lastLine(vnode, name).Total
	i.await(name+" to settle", func() error {
		time.Sleep(1200 * time.Millisecond) // its log is written once a second
		now := i.lastLine(vnode, name).Total
		defer func() { last = now }()
		if now != last {
			return fmt.Errorf("grows")
		}
		return nil
	})
	return last
}

// within tells whether got is want to a part of it.
func within(got, want, part float64) bool { return math.Abs(got-want) <= part*want }

// TestTraffic is the acceptance test of jail.md §6.4 and row T42, between real
// jails.
func TestTraffic(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	i.boot(i.b)

	t.Run("both at once, as the project tested them", i.bothAtOnce)
	for _, tt := range []struct {
		kbit, size int
		stop       float64 // half a packet before ten seconds
	}{
		{1, 25, 9.9}, {100, 250, 9.99}, {10_000, 1000, 9.9996}, {100_000, 1400, 10},
	} {
		t.Run(fmt.Sprintf("%d kbit/s", tt.kbit), func(t *testing.T) {
			before := i.lastLine(i.b, "null0").Total
			i.play("jails/demo", fmt.Sprintf(`{"events": [
				{"at": 0.2, "object": "cbr0", "action": "START", "args": "PACKETSIZE=%d RATE=%d"},
				{"at": %g, "object": "cbr0", "action": "STOP"}]}`, tt.size, tt.kbit, tt.stop+0.2))
			i.awaitState(i.a, "cbr0", "sending")
			if err := until(15*time.Second, func() error {
				if got := i.agentState(i.a, "cbr0"); got != "waiting" {
					return fmt.Errorf("it is %s", got)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			now := i.settled(i.b, "null0")
			got, want := float64(now.ReceivedBytes-before.ReceivedBytes+now.Lost*int64(tt.size)-before.Lost*int64(tt.size)), float64(tt.kbit)*1000/8*10
			if !within(got, want, 0.01) {
				t.Errorf("%.0f bytes in 10 s, want %.0f (%+.2f %%)", got, want, 100*(got/want-1))
			}
			if lost := now.Lost - before.Lost; lost > 0 {
				t.Logf("%d packets lost", lost)
			}
		})
	}
	t.Run("START and STOP within 100 ms", func(t *testing.T) {
		before := i.lastLine(i.b, "null0").Total
		i.play("jails/demo", `{"events": [{"at": 0.2, "object": "cbr0", "action": "START", "args": "PACKETSIZE=100 INTERVAL=0.001"},
			{"at": 1.2, "object": "cbr0", "action": "STOP"}]}`)
		i.awaitState(i.a, "cbr0", "sending")
		now := i.settled(i.b, "null0")
		if got := now.ReceivedPackets + now.Lost - before.ReceivedPackets - before.Lost; got < 900 || got > 1100 {
			t.Errorf("%d packets in a second, want 1000 and at most 100 more or less", got)
		}
	})
	t.Run("the log has a line a second with all numbers", i.logHasAllNumbers)
	t.Run("an idle agents process does nothing", i.idleAgents)
	t.Run("the peer reboots", i.peerReboots)
	t.Run("TERM is a clean end, and an update starts it again", func(t *testing.T) {
		i.says(i.a, "kill -TERM $(cat /run/injail/agents.pid)")
		i.await("the pid file to go", func() error {
			return i.jailsetup("enter", "-T", i.a, "sh", "-c", "! test -e /run/injail/agents.pid").err()
		})
		i.must("update", "-a", i.a)
		if got := i.agentState(i.a, "cbr0"); got != "waiting" && got != "idle" {
			t.Errorf("it is %s", got)
		}
	})
	t.Run("killed, it is started again", i.agentsKilled)
}

func (i *inside) bothAtOnce(t *testing.T) {
	packets, _ := i.device(i.b, "eth1", "rx_packets")
	control, _ := i.device(i.b, "eth0", "rx_packets")
	udp, tcp := i.lastLine(i.b, "null0").Total, i.lastLine(i.b, "null1").Total
	i.play("jails/demo", `{"events": [
		{"at": 1, "object": "cbr0", "action": "START", "args": "PACKETSIZE=500 INTERVAL=0.05"},
		{"at": 1, "object": "cbr1", "action": "START", "args": "PACKETSIZE=500 INTERVAL=0.01"},
		{"at": 2.99, "object": "cbr0", "action": "STOP"}, {"at": 2.995, "object": "cbr1", "action": "STOP"}]}`)
	i.awaitState(i.a, "cbr1", "sending")
	for name, want := range map[string]int64{"null0": 20_000, "null1": 100_000} {
		before := udp
		if name == "null1" {
			before = tcp
		}
		got := i.settled(i.b, name).ReceivedBytes - before.ReceivedBytes
		if !within(float64(got), float64(want), 0.01) {
			t.Errorf("%s got %d bytes, want %d", name, got, want)
		}
	}
	after, _ := i.device(i.b, "eth1", "rx_packets")
	if n := after - packets; n < 40+200*8/10 || n > 2*(40+200) {
		t.Errorf("%d packets on the link", n)
	}
	if after, _ = i.device(i.b, "eth0", "rx_packets"); after-control > 60 {
		t.Errorf("%d packets on the control network meanwhile", after-control)
	}
}

func (i *inside) logHasAllNumbers(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(i.says(i.b, "tail -n 4 /local/logs/null0.json")), "\n")
	for _, line := range lines {
		var keys map[string]any
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"time", "name", "state", "seconds", "sent_packets", "received_packets", "lost", "reordered", "jitter_us", "total"} {
			if _, ok := keys[key]; !ok {
				t.Errorf("no %s in %s", key, line)
			}
		}
	}
}

func (i *inside) idleAgents(t *testing.T) {
	ticks := func() int {
		f := strings.Fields(i.says(i.b, "cat /proc/$(cat /run/injail/agents.pid)/stat"))
		user, err1 := strconv.Atoi(f[13])
		system, err2 := strconv.Atoi(f[14])
		if err1 != nil || err2 != nil {
			t.Fatal(f)
		}
		return user + system
	}
	before := ticks()
	time.Sleep(3 * time.Second)
	if n := ticks() - before; n > 3 {
		t.Errorf("%d ticks of 10 ms in 3 s", n)
	}
}

func (i *inside) peerReboots(t *testing.T) {
	i.must("event", "jails/demo", "cbr0", "START", "PACKETSIZE=100", "INTERVAL=0.01")
	i.must("event", "jails/demo", "cbr1", "START", "PACKETSIZE=100", "INTERVAL=0.01")
	i.must("reboot", i.b)
	i.reports(i.b, "ISUP")
	for _, name := range []string{"null0", "null1"} {
		i.await(name+" to receive again", func() error {
			if l := i.lastLine(i.b, name); l.Total.ReceivedPackets == 0 {
				return fmt.Errorf("%+v", l)
			}
			return nil
		})
	}
	i.must("event", "jails/demo", "cbr0", "STOP")
	i.must("event", "jails/demo", "cbr1", "STOP")
}

func (i *inside) agentsKilled(t *testing.T) {
	old := i.says(i.a, "cat /run/injail/agents.pid")
	i.says(i.a, "kill -KILL "+old)
	i.await("the agents to be back", func() error {
		if out := i.jailsetup("event", "jails/demo", "cbr0", "START", "RATE=8"); out.code != 0 {
			return out.err()
		}
		return nil
	})
	i.awaitState(i.a, "cbr0", "sending")
	if now := i.says(i.a, "cat /run/injail/agents.pid"); now == old {
		t.Errorf("still process %s", now)
	}
	if log := i.says(i.a, "cat /var/log/console.log"); !strings.Contains(log, "were killed; started again as") {
		t.Errorf("the console's log doesn't say so:\n%s", log)
	}
}
