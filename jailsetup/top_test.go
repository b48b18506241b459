package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
)

// TestTop: rates are differences of two moments.
func TestTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(vnode string, boot int, cpu time.Duration, in uint64) sample {
			return sample{at: time.Now(), record: jail.Record{VNode: vnode, NickName: "node-" + vnode, Boot: boot},
				usage:    limit.Usage{CPU: cpu, Memory: 3 << 20, Threads: 18},
				counters: []network.Counter{{Name: "eth0", InBytes: in, OutBytes: 7}, {Name: "eth1", InBytes: 10 * in, OutBytes: in / 2}}}
		}
		// Of a nothing is heard, b works half of the time, c is rebooted, d comes.
		take := func() (map[string]sample, error) {
			past := time.Since(began)
			n := uint64(past.Seconds())
			all := map[string]sample{"a": at("a", 1, time.Second, 100), "b": at("b", 1, past/2, n*2000)}
			all["c"] = at("c", 1+int(n), 0, 0)
			if n > 0 {
				all["d"] = at("d", 1, 0, 1)
			}
			return all, nil
		}
		var out bytes.Buffer
		if err := (top{rounds: 1, interval: 2 * time.Second}).run(t.Context(), &out, take); err != nil {
			t.Fatal(err)
		}
		const want = "" +
			"  VNODE    NODE  CPU %  MEMORY  THREADS  CONTROL IN  OUT  LANS IN   OUT\n" +
			"      b  node-b   50.0    3.0M       18        2.0k    0      20k  1000\n" +
			"      a  node-a    0.0    3.0M       18           0    0        0     0\n"
		if out.String() != want {
			t.Errorf("says\n%swant\n%s", out.String(), want)
		}
		if time.Since(began) != 2*time.Second {
			t.Errorf("took %s", time.Since(began))
		}
	})
}

func TestBytesOf(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 1023: "1023", 1024: "1.0k", 10 << 10: "10k", 5 << 20: "5.0M", 3 << 40: "3072G"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%.0f is %q, want %q", n, got, want)
		}
	}
}
