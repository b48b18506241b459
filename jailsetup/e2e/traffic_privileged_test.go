//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/injail/trafgen"
)

// logLines are the newest records of a generator's log, at most so many.
func (i *inside) logLines(vnode, name string, most int) (lines []trafgen.Line) {
	i.t.Helper()
	for text := range strings.Lines(i.says(vnode, fmt.Sprintf("tail -n %d /local/logs/%s.json 2>/dev/null || true", most, name))) {
		var l trafgen.Line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			i.t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// lastLine is the newest record of a generator's log.
func (i *inside) lastLine(vnode, name string) (l trafgen.Line) {
	i.t.Helper()
	for _, l = range i.logLines(vnode, name, 1) {
	}
	return l
}

// bothEnds is what the nth source does and has sent, and what its sink has
// received, in all.
func (i *inside) bothEnds(n int) (state string, total trafgen.Numbers) {
	i.t.Helper()
	source := i.lastLine(i.a, fmt.Sprintf("cbr%d", n))
	total = i.lastLine(i.b, fmt.Sprintf("null%d", n)).Total
	total.SentPackets, total.SentBytes = source.Total.SentPackets, source.Total.SentBytes
	return source.State, total
}

// settled waits until the nth source has sent more than before and stopped, and
// its sink knows of each packet whether it was received or lost. An error is
// also that it never does: the last ones were lost, and no other shows it.
func (i *inside) settled(n int, before trafgen.Numbers) (total trafgen.Numbers, err error) {
	i.t.Helper()
	err = until(2*waitTimeout, func() error {
		var state string
		state, total = i.bothEnds(n)
		if state != "waiting" || total.SentPackets == before.SentPackets {
			return fmt.Errorf("cbr%d is %s and has sent %d packets", n, state, total.SentPackets-before.SentPackets)
		}
		if total.ReceivedPackets+total.Lost != total.SentPackets {
			return fmt.Errorf("null%d has received %d packets and misses %d of %d", n, total.ReceivedPackets, total.Lost, total.SentPackets)
		}
		return nil
	})
	return total, err
}

// inTurns gives a measurement its turns.
func inTurns(t *testing.T, measure func() error) {
	t.Helper()
	for range turns {
		err := measure()
		if err == nil {
			return
		}
		t.Log(err)
	}
	t.Errorf("wrong in each of %d turns", turns)
}

// within tells whether got is want to a part of it.
func within(got, want, part float64) bool { return math.Abs(got-want) <= part*want }

// TestTraffic is the acceptance test of jail.md §6.4 and row T42, between real
// jails.
func TestTraffic(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	i.boot(i.b)

	t.Run("both at once, as the project tested them", func(t *testing.T) { inTurns(t, i.bothAtOnce) })
	for _, tt := range []struct {
		kbit, size int // so small that a packet more or less is less than the tolerance
	}{
		{1, 5}, {100, 250}, {10_000, 1000}, {100_000, 1400},
	} {
		t.Run(fmt.Sprintf("%d kbit/s", tt.kbit), func(t *testing.T) {
			inTurns(t, func() error { return i.keepsPace(t, tt.kbit, tt.size) })
		})
	}
	t.Run("START and STOP within 100 ms", func(t *testing.T) { inTurns(t, i.startsAndStops) })
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

// bothAtOnce plays the plan of the project's own test. What is stopped halfway
// between two packets has sent the same number a little earlier or later.
func (i *inside) bothAtOnce() error {
	packets, _ := i.device(i.b, "eth1", "rx_packets")
	control, _ := i.device(i.b, "eth0", "rx_packets")
	var before [2]trafgen.Numbers
	for n := range before {
		_, before[n] = i.bothEnds(n)
	}
	i.play("jails/demo", `{"events": [
		{"at": 1, "object": "cbr0", "action": "START", "args": "PACKETSIZE=500 INTERVAL=0.05"},
		{"at": 1, "object": "cbr1", "action": "START", "args": "PACKETSIZE=500 INTERVAL=0.01"},
		{"at": 2.975, "object": "cbr0", "action": "STOP"}, {"at": 2.995, "object": "cbr1", "action": "STOP"}]}`)
	var errs []error
	for n, want := range []float64{20_000, 100_000} {
		now, err := i.settled(n, before[n])
		if got := now.ReceivedBytes - before[n].ReceivedBytes; err == nil && !within(float64(got), want, 0.01) {
			err = fmt.Errorf("null%d got %d bytes, want %.0f", n, got, want)
		}
		errs = append(errs, err)
	}
	after, _ := i.device(i.b, "eth1", "rx_packets")
	if n := after - packets; n < 40+200*8/10 || n > 2*(40+200) {
		errs = append(errs, fmt.Errorf("%d packets on the link", n))
	}
	if after, _ = i.device(i.b, "eth0", "rx_packets"); after-control > 60 {
		errs = append(errs, fmt.Errorf("%d packets on the control network meanwhile", after-control))
	}
	return errors.Join(errs...)
}

// sending sums up what a generator's log says of the seconds in which it did
// nothing but send: not of the one in which it began.
func (i *inside) sending(name string) (bytes int64, seconds float64) {
	i.t.Helper()
	lines := i.logLines(i.a, name, 60)
	for n := len(lines) - 1; n > 0 && lines[n].State == "sending" && lines[n-1].State == "sending"; n-- {
		bytes += lines[n].SentBytes
		seconds += lines[n].Seconds
	}
	return bytes, seconds
}

// keepsPace: over ten seconds, by the generator's own clock, the rate is what was
// asked for, and of each packet it is known what became of it.
func (i *inside) keepsPace(t *testing.T, kbit, size int) error {
	_, before := i.bothEnds(0)
	i.must("event", "jails/demo", "cbr0", "START", fmt.Sprintf("PACKETSIZE=%d", size), fmt.Sprintf("RATE=%d", kbit))
	var bytes int64
	var seconds float64
	err := until(3*waitTimeout, func() error {
		if bytes, seconds = i.sending("cbr0"); seconds < 9.99 {
			return fmt.Errorf("it has sent for %.1f s", seconds)
		}
		return nil
	})
	i.must("event", "jails/demo", "cbr0", "STOP")
	now, settledErr := i.settled(0, before)
	if err := errors.Join(err, settledErr); err != nil {
		return err
	}
	if lost := now.Lost - before.Lost; lost > 0 {
		t.Logf("%d packets lost", lost)
	}
	if got, want := float64(bytes)/seconds, float64(kbit)*1000/8; !within(got, want, 0.01) {
		return fmt.Errorf("%.0f bytes/s over %.1f s, want %.0f (%+.2f %%)", got, seconds, want, 100*(got/want-1))
	}
	return nil
}

// startsAndStops: a second of the plan is a second of traffic.
func (i *inside) startsAndStops() error {
	_, before := i.bothEnds(0)
	i.play("jails/demo", `{"events": [{"at": 0.2, "object": "cbr0", "action": "START", "args": "PACKETSIZE=100 INTERVAL=0.001"},
		{"at": 1.2, "object": "cbr0", "action": "STOP"}]}`)
	now, err := i.settled(0, before)
	if got := now.SentPackets - before.SentPackets; err == nil && (got < 900 || got > 1100) {
		err = fmt.Errorf("%d packets in a second, want 1000 and at most 100 more or less", got)
	}
	return err
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
	rebooted := time.Now() // its disk has the lines of before
	i.reports(i.b, "ISUP")
	for _, name := range []string{"null0", "null1"} {
		i.await(name+" to receive again", func() error {
			if l := i.lastLine(i.b, name); l.Time.Before(rebooted) || l.ReceivedPackets == 0 {
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
