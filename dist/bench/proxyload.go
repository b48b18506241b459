package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// doors is how many clients there are, each in a jail of its own.
const doors = 32

// lap is how long one side is asked before it is the other's turn.
const lap = time.Second

// asked is what one lap brought.
type asked struct {
	rate float64
	took []time.Duration // sorted
}

func (a asked) at(percent int) time.Duration { return a.took[(len(a.took)-1)*percent/100] }

// side is one of two ways to the same tmcd: its n-th client's address.
type side func(n int) (network, address string)

// askAll has so many clients ask for status, one request a connection, for a lap.
func askAll(s side, clients int, d time.Duration) (asked, error) {
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var work sync.WaitGroup
	begun := time.Now()
	for i := range clients {
		work.Go(func() {
			network, address := s(i)
			for time.Since(begun) < d && errs[i] == nil {
				start := time.Now()
				errs[i] = askAt(network, address)
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	work.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	return asked{float64(len(all)) / time.Since(begun).Seconds(), all}, errors.Join(errs...)
}

// askAt is ask, by any network.
func askAt(network, address string) error {
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "VERSION=40 status "); err != nil {
		return err
	}
	half := c.(interface{ CloseWrite() error })
	if err := half.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n == 0 {
		err = errors.New("no answer")
	}
	return err
}

// compare asks by turns directly and through the proxy.
func compare(b *bench, clients, laps int) (direct, through []asked, err error) {
	tmcd, err := b.bare()
	if err != nil {
		return nil, nil, err
	}
	defer tmcd.stop()
	d, err := b.openDoor(tmcd.addr, clients, nil)
	if err != nil {
		return nil, nil, err
	}
	defer d.close()
	for range laps {
		x, err := askAll(func(int) (string, string) { return "tcp", tmcd.addr }, clients, lap)
		if err != nil {
			return nil, nil, fmt.Errorf("direct: %w", err)
		}
		y, err := askAll(func(n int) (string, string) { return "unix", d.paths[n] }, clients, lap)
		if err != nil {
			return nil, nil, fmt.Errorf("through the proxy: %w", err)
		}
		direct, through = append(direct, x), append(through, y)
	}
	return direct, through, nil
}

func each[T any](laps []asked, f func(asked) T) (out []T) {
	for _, a := range laps {
		out = append(out, f(a))
	}
	return out
}

// ratios of two lists, by turns.
func ratios(x, y []asked, f func(asked) float64) (out []float64) {
	for i := range x {
		out = append(out, f(x[i])/f(y[i]))
	}
	return out
}

const laps = 7

func proxyRate(b *bench) (float64, error) {
	direct, through, err := compare(b, doors, laps)
	if err != nil {
		return 0, err
	}
	rate := func(a asked) float64 { return a.rate }
	b.note("proxy_rps: direct %.0f/s, through the proxy %.0f/s (medians of %d turns)",
		median(each(direct, rate)), median(each(through, rate)), laps)
	return median(ratios(through, direct, rate)), nil
}

func proxyP99(b *bench) (float64, error) {
	direct, through, err := compare(b, doors, laps)
	if err != nil {
		return 0, err
	}
	p99 := func(a asked) float64 { return float64(a.at(99).Microseconds()) / 1000 }
	b.note("proxy_p99: direct %.2f ms, through the proxy %.2f ms", median(each(direct, p99)), median(each(through, p99)))
	return median(ratios(through, direct, p99)), nil
}

func proxyAdded(b *bench) (float64, error) {
	direct, through, err := compare(b, 1, laps)
	if err != nil {
		return 0, err
	}
	p50 := func(a asked) float64 { return float64(a.at(50).Nanoseconds()) / 1e6 }
	var added []float64
	for i := range direct {
		added = append(added, p50(through[i])-p50(direct[i]))
	}
	b.note("proxy_added: direct %.3f ms, through the proxy %.3f ms, one client", median(each(direct, p50)), median(each(through, p50)))
	return median(added), nil
}

// proxyIdle: what an idle jail adds to the proxy's memory, of 10,000.
func proxyIdle(b *bench) (float64, error) {
	const jails, wait = 10000, 60 * time.Second
	tmcd, err := b.bare()
	if err != nil {
		return 0, err
	}
	defer tmcd.stop()
	d, err := b.openDoor(tmcd.addr, 0, nil)
	if err != nil {
		return 0, err
	}
	defer d.close()
	before, err := d.pss()
	if err != nil {
		return 0, err
	}
	if err := d.listen(jails); err != nil {
		return 0, err
	}
	time.Sleep(wait)
	after, err := d.pss()
	b.note("proxy_idle_kib: %d KiB before, %d KiB with %d jails", before, after, jails)
	return float64(after-before) / jails, err
}

// pss is the proxy's proportional share of memory, in KiB.
func (d *door) pss() (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib, nil
		}
	}
	return 0, errors.New("no Pss in smaps_rollup")
}
