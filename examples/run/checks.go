//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"emujail/examples/wait"
)

func checkTwoNodes(ctx context.Context, w *world) error {
	if _, err := w.enter(ctx, "node-a", "ping", "-c", "2", "-i", "0.2", "-W", "2", "node-b"); err != nil {
		return err
	}
	_, err := w.enter(ctx, "node-b", "ping", "-c", "2", "-i", "0.2", "-W", "2", "node-a")
	return err
}

// The shaped LAN's figures, as its file has them.
const (
	oneWay    = 20 * time.Millisecond // 10 ms at each end
	cbrBytes  = 400 * 1000 / 8        // a second, of payload
	tolerance = 0.05
	watched   = 4 // seconds
)

func checkShapedLAN(ctx context.Context, w *world) error {
	out, err := w.enter(ctx, "node-a", "ping", "-c", "3", "-i", "0.3", "-W", "2", "-q", "node-c")
	if err != nil {
		return err
	}
	rtt, err := leastRTT(out)
	if err != nil {
		return err
	}
	if rtt < 2*oneWay || rtt > 2*oneWay+20*time.Millisecond {
		return fmt.Errorf("a ping takes %s there and back, want %s", rtt, 2*oneWay)
	}
	for _, sink := range []string{"null0", "null1"} {
		before, err := received(ctx, w, sink)
		if err != nil {
			return err
		}
		select {
		case <-time.After(watched * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := received(ctx, w, sink)
		if err != nil {
			return err
		}
		rate := float64(after.Total.ReceivedBytes-before.Total.ReceivedBytes) / after.Time.Sub(before.Time).Seconds()
		if rate < (1-tolerance)*cbrBytes || rate > (1+tolerance)*cbrBytes {
			return fmt.Errorf("%s receives %.0f bytes a second, want %d", sink, rate, cbrBytes)
		}
	}
	return nil
}

// leastRTT reads the summary of ping -q.
func leastRTT(out string) (time.Duration, error) {
	m := regexp.MustCompile(`= ([0-9.]+)/`).FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("ping says %q", out)
	}
	ms, err := strconv.ParseFloat(m[1], 64)
	return time.Duration(ms * float64(time.Millisecond)), err
}

// sinkLine is what of a generator's log is looked at.
type sinkLine struct {
	Time  time.Time `json:"time"`
	Total struct {
		ReceivedBytes int64 `json:"received_bytes"`
	} `json:"total"`
}

// received is the newest line of a sink's log, once there is one.
func received(ctx context.Context, w *world, sink string) (l sinkLine, err error) {
	err = wait.Until(ctx, 10*time.Second, sink+" to receive", func() error {
		out, err := w.enter(ctx, "node-b", "tail", "-n", "1", "/local/logs/"+sink+".json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &l); err != nil {
			return err
		}
		if l.Total.ReceivedBytes == 0 {
			return fmt.Errorf("%s has received nothing", sink)
		}
		return nil
	})
	return l, err
}

// makeTools packs what the example installs.
func makeTools(ctx context.Context, w *world, dir string) error {
	to := filepath.Join(dir, "proj/jails")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	_, err := w.output(ctx, "tar", "-czf", filepath.Join(to, "tools.tar.gz"), "-C", w.dir, "tools")
	return err
}

func checkSoftware(ctx context.Context, w *world) error {
	return wait.Until(ctx, 10*time.Second, "the program's output", func() error {
		out, err := w.enter(ctx, "node-a", "cat", "/local/logs/greeter.out", "/local/logs/greeter.status")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(out, "hello from alice on node-a\n") || !regexp.MustCompile(`"exit": ?7\b`).MatchString(out) {
			return fmt.Errorf("the program's output and status: %q", out)
		}
		return nil
	})
}

func checkFifty(ctx context.Context, w *world) error {
	last := 50
	if w.few {
		last = 10
	}
	for _, n := range []int{2, last / 2, last} {
		if _, err := w.enter(ctx, "node-1", "ping", "-c", "2", "-i", "0.2", "-W", "2", fmt.Sprintf("node-%d", n)); err != nil {
			return err
		}
	}
	return nil
}

// fewer copies a testbed without the lines of nodes beyond the n-th.
func fewer(file, dir string, n int) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	node := regexp.MustCompile(`\bnode-([0-9]+)\b`)
	var out []string
	for line := range strings.Lines(string(text)) {
		if m := node.FindStringSubmatch(line); m != nil {
			if number, err := strconv.Atoi(m[1]); err != nil || number > n {
				continue
			}
		}
		out = append(out, line)
	}
	to := filepath.Join(dir, "testbed.yaml")
	return to, os.WriteFile(to, []byte(strings.Join(out, "")), 0o600)
}
