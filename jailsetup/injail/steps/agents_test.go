package steps

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/agents"
)

// trafgenLines are a UDP source and its sink on loop-back ports that are free.
func trafgenLines(tb testing.TB) string {
	tb.Helper()
	var ports [2]int
	for i := range ports {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close()
		ports[i] = c.LocalAddr().(*net.UDPAddr).Port
	}
	line := "TRAFGEN=%s MYNAME=127.0.0.1 MYPORT=%d PEERNAME=127.0.0.1 PEERPORT=%d PROTO=udp ROLE=%s GENERATOR=TG\n"
	return fmt.Sprintf(line, "cbr0", ports[0], ports[1], "source") + fmt.Sprintf(line, "null0", ports[1], ports[0], "sink")
}

// stopAgentsLater ends what a boot leaves running.
func (j *jail) stopAgentsLater() {
	j.tb.Cleanup(func() {
		if _, err := j.Do(context.Background(), Shutdown); err != nil {
			j.tb.Error(err)
		}
		if pid := j.agentsPID(); pid != 0 {
			j.tb.Errorf("agents still run as process %d", pid)
		}
	})
}

func TestBootStartsTrafficGenerators(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("trafgens", trafgenLines(t))
	if r := step(t, j.boot(), "agents"); r.Status != OK || len(r.Changes) != 1 {
		t.Fatalf("%+v", r)
	}
	ctx, socket := context.Background(), agents.Below(j.Root).Socket
	send := func(object, action, args string) error {
		return agents.Send(ctx, socket, event.Event{Object: object, Type: event.TrafGen, Action: action, Args: args})
	}
	if err := send("cbr0", "START", "RATE=1000 PACKETSIZE=125"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for received := int64(0); received < 100; {
		all, err := agents.Query(ctx, socket)
		if err != nil {
			t.Fatal(err)
		}
		received = all.Generators[1].Total.ReceivedPackets
		if time.Now().After(deadline) {
			t.Fatalf("%d packets within 5 s", received)
		}
	}
	if err := send("cbr0", "START", "RATE=fast"); err == nil {
		t.Error("bad arguments: no error")
	}
	if err := send("cbr7", "START", ""); err == nil {
		t.Error("unknown object: no error")
	}

	// The same again goes on; another record begins, and the process stays.
	pid := j.agentsPID()
	if r := step(t, j.boot(), "agents"); len(r.Changes) != 0 || j.agentsPID() != pid {
		t.Errorf("second boot: %+v, process %d, was %d", r, j.agentsPID(), pid)
	}
	j.tmcd.set("trafgens", strings.ReplaceAll(trafgenLines(t), "cbr0", "cbr1"))
	j.boot()
	if now := j.agentsPID(); now != pid {
		t.Errorf("other records: process %d, was %d", now, pid)
	}
	if err := send("cbr1", "START", ""); err != nil {
		t.Errorf("the new generator: %v", err)
	}
	if err := send("cbr0", "START", ""); err == nil {
		t.Error("the old generator is still there")
	}
}

// addSelf makes whoever runs the test a user of the jail, called self.
func (j *jail) addSelf() {
	j.tb.Helper()
	me := fmt.Sprintf("self:x:%d:%d::/:/bin/sh\n", os.Getuid(), os.Getgid())
	mustWrite(j.tb, j.path("/etc/passwd"), me+j.read("/etc/passwd"))
}

func TestStartupCommand(t *testing.T) {
	j := newJail(t)
	j.addSelf()
	j.tmcd.set("startupcmd", "CMD='echo it is up; exit 7' UID=self\n")
	j.boot()
	await(t, "startstatus", func() bool { return j.tmcd.count("startstatus 7") == 1 })
	j.has("/local/logs/startupcmd.out", "it is up\n")
	j.boot()
	if n := j.tmcd.count("startstatus"); n != 1 {
		t.Errorf("ran %d times in one boot", n)
	}
}

func TestStartupCommandOfNobody(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("startupcmd", "CMD='true' UID=ghost\n")
	if sum := j.boot(); sum.State != "ISUP" {
		t.Errorf("state %s", sum.State)
	}
	await(t, "startstatus", func() bool { return j.tmcd.count("startstatus 666") == 1 })
}

func TestProgram(t *testing.T) {
	j := newJail(t)
	j.addSelf()
	j.tmcd.set("programs", "UID=self\nAGENT=prog0 COMMAND='echo $COLOUR'\n")
	j.tmcd.set("userenv", "COLOUR=deep blue\n")
	j.boot()
	err := agents.Send(context.Background(), agents.Below(j.Root).Socket, event.Event{Object: "prog0", Action: "START"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "status", func() bool { _, err := os.Stat(j.path("/local/logs/prog0.status")); return err == nil })
	j.has("/local/logs/prog0.out", "deep blue\n")
}

func TestWatchdogUpdatesAccounts(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("watchdoginfo", "INTERVAL=3600 ISALIVE=1 NTPDRIFT=0 CVSUP=0 RUSAGE=0 HOSTKEYS=0 DHCPDCONF=0 SETROOTPSWD=0\n")
	j.boot()
	j.tmcd.set("accounts", groupLine+aliceLine+bobLine+replaced(bobLine, "LOGIN=bob>LOGIN=carol", "UID=2002>UID=2003", "/users/bob>/users/carol"))
	j.tmcd.set("isalive", "UPDATE=1\n")
	await(t, "carol", func() bool { return strings.Contains(j.read("/etc/passwd"), "carol:x:2003") })
	j.tmcd.set("isalive", "UPDATE=0\n")
	if n := j.tmcd.count("state"); n != 1 {
		t.Errorf("%d states reported: an update is no boot", n)
	}
}

// await polls for a condition.
func await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// TestAgentsKilled: the next boot starts them again, over the dead one's socket.
func TestAgentsKilled(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("trafgens", trafgenLines(t))
	j.boot()
	kill(t, j.agentsPID())
	if r := step(t, j.boot(), "agents"); r.Status != OK || j.agentsPID() == 0 {
		t.Errorf("%+v, process %d", r, j.agentsPID())
	}
}

// TestAgentsReplaced: agents that are slow to end, for a program's sake, take
// nothing away from those that come after them.
func TestAgentsReplaced(t *testing.T) {
	for name, replace := range map[string]func(j *jail, old int) error{
		"configured anew": func(j *jail, _ int) error {
			_, err := j.Do(context.Background(), Reconfig)
			return err
		},
		"ended by hand, then a boot": func(j *jail, old int) error {
			if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
				return err
			}
			await(t, "silence", func() bool { return j.agentsPID() == 0 })
			j.boot()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJail(t)
			j.addSelf()
			j.tmcd.set("programs", "UID=self\nAGENT=prog0 COMMAND='trap \"\" TERM; echo begun; sleep 60'\n")
			j.boot()
			err := agents.Send(context.Background(), agents.Below(j.Root).Socket, event.Event{Object: "prog0", Action: "START"})
			if err != nil {
				t.Fatal(err)
			}
			await(t, "prog0", func() bool {
				out, err := os.ReadFile(j.path("/local/logs/prog0.out"))
				return err == nil && len(out) > 0
			})
			old := j.agentsPID()
			if err := replace(j, old); err != nil {
				t.Fatal(err)
			}
			await(t, "the end of the old", func() bool { return !runs(old) })
			if now := j.agentsPID(); now == 0 || now == old {
				t.Errorf("process %d, was %d", now, old)
			}
		})
	}
}

// runs tells whether there is a process with this pid. One that has ended, with all
// its threads, and that init has yet to collect isn't any more.
func runs(pid int) bool {
	st := statOf(pid)
	ended := st.state == "Z" && st.threads == "1"
	return !ended && syscall.Kill(pid, 0) == nil
}

// stat is what the kernel tells of a process; empty: there is none.
type stat struct{ state, parent, threads string }

func statOf(pid int) stat {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	return stat{fields[0], fields[1], fields[17]} // proc_pid_stat(5), from the third
}
