package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/supervise"
)

func newTopCommand(s *settings) *cobra.Command {
	var o top
	cmd := &cobra.Command{
		Use:   "top",
		Short: "show what the jails use: CPU, memory, processes, traffic",
		Long: `top shows what each running jail uses of this host, the busiest first: CPU in per
cent of one core, memory with its page cache, threads, and the traffic of its
control interface and of its LANs in bytes a second, in and out as the jail sees
it. On a terminal it goes on until interrupted; else it shows one round, or as
many as --rounds says. It needs no supervisor.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			if o.interval < 100*time.Millisecond || o.interval > time.Hour {
				return usageError{fmt.Errorf("top: --interval %s: want 100ms to 1h", o.interval)}
			}
			hierarchies, err := limit.Discover()
			if err != nil {
				return err
			}
			if o.rounds < 0 || o.interval <= 0 {
				return usageError{errors.New("top: want --rounds from 0 on and an --interval")}
			}
			o.terminal = isTerminal(os.Stdout) && !o.asJSON
			if o.rounds == 0 && !o.terminal {
				o.rounds = 1
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return o.run(ctx, cmd.OutOrStdout(), func() (map[string]sample, error) { return takeSamples(site, hierarchies) })
		},
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "as JSON, a line a round")
	cmd.Flags().IntVarP(&o.rounds, "rounds", "n", 0, "end after `N` rounds")
	cmd.Flags().DurationVarP(&o.interval, "interval", "i", time.Second, "from one round to the next")
	return cmd
}

type top struct {
	asJSON   bool
	rounds   int // 0: until interrupted
	interval time.Duration
	terminal bool
}

// sample is what one jail had used at one moment.
type sample struct {
	at       time.Time
	record   jail.Record
	usage    limit.Usage
	counters []network.Counter
}

// traffic is bytes a second, as the jail sees them.
type traffic struct {
	In  float64 `json:"in"`
	Out float64 `json:"out"`
}

// use is one line of top.
type use struct {
	VNode   string  `json:"vnode"`
	Node    string  `json:"node"`
	CPU     float64 `json:"cpu_percent"` // of one core
	Memory  int64   `json:"memory_bytes"`
	Threads int     `json:"threads"`
	Control traffic `json:"control_bytes_per_second"`
	LANs    traffic `json:"lans_bytes_per_second"`
}

func (o top) run(ctx context.Context, w io.Writer, take func() (map[string]sample, error)) error {
	before, err := take()
	if err != nil {
		return err
	}
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n := 0; o.rounds == 0 || n < o.rounds; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := take()
		if err != nil {
			return err
		}
		if err := o.print(w, uses(before, now)); err != nil {
			return err
		}
		before = now
	}
	return nil
}

// takeSamples looks at every jail that runs.
func takeSamples(site jail.Site, h limit.Hierarchies) (map[string]sample, error) {
	jails, err := supervise.List(site)
	if err != nil {
		return nil, err
	}
	all := map[string]sample{}
	for _, j := range jails {
		pidfd, err := j.Pin()
		if errors.Is(err, os.ErrProcessDone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s, err := takeSample(j.Record, h)
		pidfd.Close()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", j.VNode, err)
		}
		all[j.VNode] = s
	}
	return all, nil
}

func takeSample(r jail.Record, h limit.Hierarchies) (sample, error) {
	s := sample{at: time.Now(), record: r}
	var err error
	if s.usage, err = h.Usage(r.VNode); err != nil {
		return s, err
	}
	s.counters, err = network.Counters(r.PID)
	return s, err
}

// uses compares two moments: the busiest jail first, of equals the first by
// name. A jail that wasn't there before, or was rebooted, comes with the next
// round.
func uses(before, now map[string]sample) []use {
	list := []use{}
	for vnode, b := range now {
		a, ok := before[vnode]
		if !ok || a.record.Boot != b.record.Boot {
			continue
		}
		seconds := b.at.Sub(a.at).Seconds()
		u := use{VNode: vnode, Node: b.record.NickName, Memory: b.usage.Memory, Threads: b.usage.Threads}
		u.CPU = 100 * (b.usage.CPU - a.usage.CPU).Seconds() / seconds
		for _, c := range b.counters {
			to := &u.LANs
			if c.Name == controlInterface {
				to = &u.Control
			}
			i := slices.IndexFunc(a.counters, func(old network.Counter) bool { return old.Name == c.Name })
			if i < 0 {
				continue
			}
			old := a.counters[i]
			to.In += float64(c.InBytes-min(old.InBytes, c.InBytes)) / seconds
			to.Out += float64(c.OutBytes-min(old.OutBytes, c.OutBytes)) / seconds
		}
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b use) int {
		return cmp.Or(-cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.VNode, b.VNode))
	})
	return list
}

// controlInterface is the jail's on the control network.
const controlInterface = "eth0"

const clearScreen = "\x1b[H\x1b[2J"

func (o top) print(w io.Writer, list []use) error {
	if o.asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"time": time.Now(), "jails": list})
	}
	if o.terminal {
		fmt.Fprint(w, clearScreen)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "VNODE\tNODE\tCPU %\tMEMORY\tTHREADS\tCONTROL IN\tOUT\tLANS IN\tOUT\t")
	for _, u := range list {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%d\t%s\t%s\t%s\t%s\t\n", u.VNode, printable(u.Node), u.CPU, bytesOf(float64(u.Memory)), u.Threads,
			bytesOf(u.Control.In), bytesOf(u.Control.Out), bytesOf(u.LANs.In), bytesOf(u.LANs.Out))
	}
	return t.Flush()
}

// bytesOf is a number of bytes with a unit.
func bytesOf(n float64) string {
	for _, unit := range [...]string{"", "k", "M", "G"} {
		if n < 1024 || unit == "G" {
			if n < 10 && unit != "" {
				return fmt.Sprintf("%.1f%s", n, unit)
			}
			return fmt.Sprintf("%.0f%s", n, unit)
		}
		n /= 1024
	}
	return ""
}
