package steps

import (
	"context"
	"fmt"
	"net"
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
	j.stopAgentsLater()
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
		received = all[1].Total.ReceivedPackets
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

	// The same again goes on; another record starts anew.
	pid := j.agentsPID()
	if r := step(t, j.boot(), "agents"); len(r.Changes) != 0 || j.agentsPID() != pid {
		t.Errorf("second boot: %+v, process %d, was %d", r, j.agentsPID(), pid)
	}
	j.tmcd.set("trafgens", trafgenLines(t))
	j.boot()
	if now := j.agentsPID(); now == pid || now == 0 {
		t.Errorf("other records: process %d, was %d", now, pid)
	}
}

// TestAgentsKilled: the next boot starts them again, over the dead one's socket.
func TestAgentsKilled(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("trafgens", trafgenLines(t))
	j.stopAgentsLater()
	j.boot()
	kill(t, j.agentsPID())
	if r := step(t, j.boot(), "agents"); r.Status != OK || j.agentsPID() == 0 {
		t.Errorf("%+v, process %d", r, j.agentsPID())
	}
}
