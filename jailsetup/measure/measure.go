// Package measure takes the figures of "jailsetup bench": how long a jail takes
// to boot and to kill, what it costs, how fast its LAN is.
//
//	measure.go   the table of figures
//	host_linux.go    a host of the measurement's own: a lab with many vnodes
//	boot_linux.go    phase_one, kill, linear_50
//	cost_linux.go    mem_outside, mem_inside, idle_cpu
//	live_linux.go    adoption, enter
//	lan_linux.go     lan
//	shape_linux.go   shape_rate, shape_delay, delay_kpps, by packets_linux.go
//	neighbour_linux.go    neighbour
//	configured_linux.go   isup, requests, storm_20, restart, mem_agents
//	traffic_linux.go      pace, react, cbr_20, bulk
//	runc_linux.go    the peer: runc run true
//
// It measures real programs on a testbed of its own, in network and mount
// namespaces that its caller has made for it; nothing of the host's is touched
// but its processors. Peers run by turns with what they are held against, in
// one run, so that a busy machine slows both. Every jail is one with an address
// of its own and a link; no step of a boot is left out.
package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Figure is one measured value. Lower is better, but for those of Least.
type Figure struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit,omitempty"` // a ratio has none
	Limit float64  `json:"limit"`          // what is promised
	Least bool     `json:"least,omitempty"`
	Notes []string `json:"notes,omitempty"` // what it was made from
}

// Holds tells whether the value is within the limit.
func (f Figure) Holds() bool {
	if f.Least {
		return f.Value >= f.Limit
	}
	return f.Value <= f.Limit
}

// Options say where the programs are.
type Options struct {
	Programs string // the directory of jailsetup, tmcd-mock and the others
	Dir      string // for the measurement, removed by its caller; a short path
}

// measurement is one row of the table.
type measurement struct {
	Figure
	about string
	jails int                             // vnodes that the testbed needs
	make  func(h *host, vnodes int) error // the testbed's text
	take  func(context.Context, *host, *Figure) error
}

// table is the figures, in the order in which they are taken.
func table() []measurement {
	return slices.Concat([]measurement{
		{Figure{Name: "phase_one", Limit: 1}, "boot, from the verb to the exec of PID 1, without tmcd's answers, as a share of runc run true", 1, plain, phaseOne},
		{Figure{Name: "kill", Limit: 4}, "kill of an idle jail until nothing is left, as a share of runc run true", 1, plain, killing},
		{Figure{Name: "linear_50", Limit: 1.3}, "phase one with 50 jails, as a share of it with 5", 50, plain, linear},
		{Figure{Name: "mem_outside", Unit: "MiB", Limit: 1}, "memory that a jail costs outside of its cgroup", 20, plain, memoryOutside},
		{Figure{Name: "idle_cpu", Unit: "%", Limit: 0.5}, "of one core, 20 idle jails with supervisor and proxy", 20, plain, idleCPU},
		{Figure{Name: "mem_inside", Unit: "MiB", Limit: 4}, "PSS of an idle jail's init, syslogd, cron and sshd, mean of 20, after 60 s", 20, plain, memoryInside},
		{Figure{Name: "adoption", Unit: "s", Limit: 1}, "a killed supervisor's successor has 20 jails again", 20, plain, adoption},
		{Figure{Name: "enter", Unit: "ms", Limit: 50}, "jailsetup enter, from its start to the prompt", 1, plain, entering},
		{Figure{Name: "lan", Limit: 0.9, Least: true}, "TCP over IPv4 between two jails, as a share of a bare veth pair", 2, plain, lanRate},
	}, shaping(), []measurement{
		{Figure{Name: "neighbour", Limit: 2}, "how long sshd takes to answer beside a fork bomb, a memory hog and a disk filler, as a share of it in peace, the worst", 2, plain, neighbour},
	}, configured(), traffic())
}

// Names are the figures' names, in order, with what they are.
func Names() (names []string, about map[string]string) {
	about = map[string]string{}
	for _, m := range table() {
		names = append(names, m.Name)
		about[m.Name] = m.about
	}
	return names, about
}

// Figures are all that can be taken, in order, without values.
func Figures() (all []Figure) {
	for _, m := range table() {
		all = append(all, m.Figure)
	}
	return all
}

// Idle tells whether the figure is of twenty idle jails. Those that are taken in a
// row share them.
func (f Figure) Idle() bool {
	return slices.Contains([]string{"mem_outside", "idle_cpu", "mem_inside", "adoption"}, f.Name)
}

// Take measures those named, each on a fresh testbed but those of the same idle
// jails, and gives each to report. What can't be measured ends it.
func Take(ctx context.Context, o Options, names []string, report func(Figure)) (err error) {
	var h *host
	leave := func() error {
		if h == nil {
			return nil
		}
		old := h
		h = nil
		return old.close(context.WithoutCancel(ctx))
	}
	defer func() { err = errors.Join(err, leave()) }()
	for _, m := range table() {
		if !slices.Contains(names, m.Name) {
			continue
		}
		if !m.Idle() {
			err = leave()
		}
		if err == nil && h == nil {
			h, err = newHost(ctx, o, m)
		}
		f := m.Figure
		if err == nil {
			err = m.take(ctx, h, &f)
		}
		if err == nil && !m.Idle() {
			err = leave()
		}
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.Name, err)
		}
		report(f)
	}
	return nil
}

func (f *Figure) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// ratio sets the value to a share, and notes of what.
func (f *Figure) ratio(what string, ours []time.Duration, peer string, theirs []time.Duration) {
	a, b := median(ours), median(theirs)
	f.Value = float64(a) / float64(b)
	f.note("%s %.1f ms (p90 %.1f), %s %.1f ms (p90 %.1f), %d by turns", what, ms(a), ms(quantile(ours, 0.9)), peer, ms(b), ms(quantile(theirs, 0.9)), len(ours))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// msList is the durations in order, with a digit each behind the point.
func msList(list []time.Duration) string {
	var all []float64
	for _, d := range list {
		all = append(all, ms(d))
	}
	return fmt.Sprintf("%.1f", all)
}

func median[T cmp.Ordered](values []T) T { return quantile(values, 0.5) }

func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
