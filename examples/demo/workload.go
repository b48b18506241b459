//go:build linux

package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emujail/examples/wait"
)

const tarballWords = "hello from the tarball\n"

// makeTarball makes what the testbed's node-a has among its tarballs.
func (w *world) makeTarball() (err error) {
	path := filepath.Join(stateDir, "web", "proj", "jails", "tarfiles", "hello.tar.gz")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	if err := t.WriteHeader(&tar.Header{Name: "hello.txt", Mode: 0o644, Size: int64(len(tarballWords))}); err != nil {
		return err
	}
	if _, err := t.Write([]byte(tarballWords)); err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

func (w *world) tarball(ctx context.Context) error {
	out, err := w.enter(ctx, first, "cat", "/opt/hello.txt")
	if err == nil && out != tarballWords {
		err = fmt.Errorf("/opt/hello.txt says %q", out)
	}
	return err
}

// The generator's rate: 500 bytes of payload at 400 kbit/s.
const (
	packetSize  = 500
	rateKbit    = 400
	packetsRate = rateKbit * 1000 / 8 / packetSize
	trafficTime = 4 * time.Second
	tolerance   = 0.05
)

// traffic counts at the sink's interface, by the kernel, without and with the
// generator.
func (w *world) traffic(ctx context.Context) error {
	quiet, err := w.packetRate(ctx)
	if err != nil {
		return err
	}
	if quiet > packetsRate/10 {
		return fmt.Errorf("%.1f packets/s before the generator starts", quiet)
	}
	if _, err := w.jailsetup(ctx, "event", "jails/demo", "cbr0", "START",
		fmt.Sprintf("PACKETSIZE=%d", packetSize), fmt.Sprintf("RATE=%d", rateKbit)); err != nil {
		return err
	}
	rate, err := w.packetRate(ctx)
	if _, stop := w.jailsetup(ctx, "event", "jails/demo", "cbr0", "STOP"); stop != nil {
		return stop
	}
	if err != nil {
		return err
	}
	if math.Abs(rate-packetsRate) > tolerance*packetsRate {
		return fmt.Errorf("%.1f packets/s at the sink, want %d", rate, packetsRate)
	}
	return nil
}

// packetRate is the rate of packets that the sink's interface receives.
func (w *world) packetRate(ctx context.Context) (float64, error) {
	before, at, err := w.received(ctx)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(trafficTime):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, end, err := w.received(ctx)
	if err != nil {
		return 0, err
	}
	return float64(after-before) / (end - at), nil
}

// received is the sink's count and the jail's clock, read together.
func (w *world) received(ctx context.Context) (packets int64, seconds float64, err error) {
	out, err := w.enter(ctx, second, "cat", "/sys/class/net/eth1/statistics/rx_packets", "/proc/uptime")
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(out)
	if len(fields) < 2 {
		return 0, 0, fmt.Errorf("count and clock: %q", out)
	}
	packets, err1 := strconv.ParseInt(fields[0], 10, 64)
	seconds, err2 := strconv.ParseFloat(fields[1], 64)
	return packets, seconds, errors.Join(err1, err2)
}

func (w *world) rebootKeepsDisk(ctx context.Context) error {
	if _, err := w.enter(ctx, first, "sh", "-c", "echo kept > /root/kept"); err != nil {
		return err
	}
	if _, err := w.jailsetup(ctx, "reboot", first); err != nil {
		return err
	}
	if err := w.awaitUp(ctx, first); err != nil {
		return err
	}
	out, err := w.enter(ctx, first, "cat", "/root/kept")
	if err == nil && out != "kept\n" {
		err = fmt.Errorf("/root/kept says %q", out)
	}
	return err
}

func (w *world) nothingLeft(ctx context.Context) error {
	for _, vnode := range []string{first, second} {
		if _, err := w.jailsetup(ctx, "kill", vnode); err != nil {
			return err
		}
	}
	// The kernel ends network namespaces in its own time.
	return wait.Until(ctx, 5*time.Second, "the host to be as before", func() error {
		now, err := list()
		if err != nil {
			return err
		}
		return w.withWorld.Diff(now)
	})
}
