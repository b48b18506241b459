package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"emujail/jailsetup/hub"
	"emujail/jailsetup/injail/trafgen"
	"emujail/jailsetup/supervise"
)

// traffic are the figures of traffic generators, from one jail to another over
// their LAN.
func traffic() []measurement {
	return []measurement{
		{Figure{Name: "pace", Unit: "%", Limit: 1}, "how far bytes are from the plan over 10 s, the worst of 1 kbit/s to 100 Mbit/s", 2, generators, pace},
		{Figure{Name: "react", Unit: "ms", Limit: 100}, "from START to the first packet and from STOP to the last, the longest of 20", 2, generators, react},
		{Figure{Name: "cbr_20", Unit: "%", Limit: 2}, "the same of 20 sources in one jail at once, the worst", 2, generators, manySources},
		{Figure{Name: "bulk", Limit: 0.9, Least: true}, "TCP at interval 0, as a share of iperf3 on the same link", 2, generators, bulk},
	}
}

// sources is how many UDP sources the first jail has.
const sources = 20

const experiment = "bench/many"

// generators makes a testbed whose first node sends to its second: by UDP from
// cbr0 … cbr19 to null0 …, by TCP from bulk to sink.
func generators(h *host, vnodes int) error {
	if err := plain(h, vnodes); err != nil {
		return err
	}
	b := bytes.NewBuffer(h.text)
	b.WriteString("    traffic:\n")
	pair := func(from, to, proto string, port int) {
		fmt.Fprintf(b, "      %s: {node: node-1, role: source, proto: %s, ip: 10.1.1.1, port: %d, peer: %s}\n", from, proto, port, to)
		fmt.Fprintf(b, "      %s: {node: node-2, role: sink, proto: %s, ip: 10.1.1.2, port: %d, peer: %s}\n", to, proto, port, from)
	}
	for n := range sources {
		pair(fmt.Sprintf("cbr%d", n), fmt.Sprintf("null%d", n), "udp", 6000+n)
	}
	pair("bulk", "sink", "tcp", 6100)
	h.text = b.Bytes()
	return nil
}

// tell sends an object an event now.
func (h *host) tell(ctx context.Context, object, action, args string) error {
	_, _, err := h.verb(ctx, supervise.Request{Verb: supervise.VerbEvent,
		Event: &supervise.EventRequest{Experiment: experiment, Object: object, Action: action, Args: args}})
	return err
}

// play sets the schedule and starts the experiment's time.
func (h *host) play(ctx context.Context, items []hub.Item) error {
	_, _, err := h.verb(ctx, supervise.Request{Verb: supervise.VerbEvent,
		Event: &supervise.EventRequest{Experiment: experiment, Schedule: &hub.Schedule{Events: items}, Start: true}})
	return err
}

// lines are the newest of generators' logs, by name.
func (h *host) lines(ctx context.Context, vnode string, count int, names ...string) (map[string][]trafgen.Line, error) {
	var files []string
	for _, name := range names {
		files = append(files, "/local/logs/"+name+".json")
	}
	line := fmt.Sprintf("for f in %s; do tail -q -n %d $f 2>/dev/null; done; true", strings.Join(files, " "), count)
	out, err := h.program(ctx, "enter", "-T", vnode, "sh", "-c", line).Output()
	if err != nil {
		return nil, fmt.Errorf("read the generators' logs: %w", err)
	}
	all := map[string][]trafgen.Line{}
	for text := range bytes.Lines(out) {
		var l trafgen.Line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("read the generators' logs: %w", err)
		}
		all[l.Name] = append(all[l.Name], l)
	}
	return all, nil
}

// totals are the sinks' numbers so far.
func (h *host) totals(ctx context.Context, names ...string) (map[string]trafgen.Numbers, error) {
	last, err := h.lines(ctx, h.vnodes[1], 1, names...)
	all := map[string]trafgen.Numbers{}
	for name, l := range last {
		all[name] = l[len(l)-1].Total
	}
	return all, err
}

// stream is a flow of the plan: so many kbit/s in packets of that size.
type stream struct {
	n          int // cbr<n>, null<n>
	kbit, size float64
}

// paceSeconds is how long a flow sends.
const paceSeconds = 10

// quiet is how long the sinks need to have written all that has come.
const quiet = 2500 * time.Millisecond

// interval is the stream's, in seconds.
func (s stream) interval() float64 { return s.size * 8 / (s.kbit * 1000) }

// off runs streams side by side and returns how far from the plan the worst is,
// in percent. What was sent and lost on the way counts as sent: the pace is the
// source's.
func (h *host) off(ctx context.Context, f *Figure, streams ...stream) (worst float64, err error) {
	var items []hub.Item
	var sinks []string
	for _, s := range streams {
		from := fmt.Sprintf("cbr%d", s.n)
		sinks = append(sinks, fmt.Sprintf("null%d", s.n))
		items = append(items, hub.Item{At: 0.5, Object: from, Action: "START", Args: fmt.Sprintf("PACKETSIZE=%g RATE=%g", s.size, s.kbit)},
			hub.Item{At: 0.5 + paceSeconds - s.interval()/2, Object: from, Action: "STOP"})
	}
	before, err := h.totals(ctx, sinks...)
	if err != nil {
		return 0, err
	}
	if err := h.play(ctx, items); err != nil {
		return 0, err
	}
	if err := wait(ctx, (paceSeconds+1)*time.Second+quiet); err != nil {
		return 0, err
	}
	after, err := h.totals(ctx, sinks...)
	if err != nil {
		return 0, err
	}
	var lost int64
	for i, s := range streams {
		a, b := after[sinks[i]], before[sinks[i]]
		lost += a.Lost - b.Lost
		got := float64(a.ReceivedBytes-b.ReceivedBytes) + s.size*float64(a.Lost-b.Lost)
		want := s.kbit * 1000 / 8 * paceSeconds
		worst = max(worst, 100*math.Abs(got/want-1))
	}
	if s := streams[0]; len(streams) == 1 {
		f.note("%g kbit/s in packets of %g bytes: %.2f %% off, %d lost", s.kbit, s.size, worst, lost)
	} else {
		f.note("%d streams of %g kbit/s: the worst %.2f %% off, %d lost", len(streams), s.kbit, worst, lost)
	}
	return worst, nil
}

func pace(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	for _, s := range []stream{{0, 1, 32}, {0, 10, 125}, {0, 100, 250}, {0, 1000, 500}, {0, 10_000, 1000}, {0, 100_000, 1400}} {
		worst, err := h.off(ctx, f, s)
		if err != nil {
			return err
		}
		f.Value = max(f.Value, worst)
	}
	return nil
}

func manySources(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	for _, kbit := range []float64{100, 1000} {
		var all []stream
		for n := range sources {
			all = append(all, stream{n, kbit, 500})
		}
		worst, err := h.off(ctx, f, all...)
		if err != nil {
			return err
		}
		f.Value = max(f.Value, worst)
	}
	return nil
}

const reactRounds = 20

func react(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	sent, err := h.counter(h.vnodes[0])
	if err != nil {
		return err
	}
	var starts, stops []time.Duration
	for range reactRounds {
		start, err := h.untilSent(ctx, sent)
		if err != nil {
			return err
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		stop, err := h.untilStill(ctx, sent)
		if err != nil {
			return err
		}
		starts, stops = append(starts, start), append(stops, stop)
	}
	f.Value = max(ms(slices.Max(starts)), ms(slices.Max(stops)))
	f.note("START %.1f ms (longest %.1f), STOP %.1f ms (longest %.1f), %d times", ms(median(starts)), ms(slices.Max(starts)),
		ms(median(stops)), ms(slices.Max(stops)), reactRounds)
	return nil
}

// untilSent starts the first source and returns how long its first packet took.
func (h *host) untilSent(ctx context.Context, sent func() (int64, error)) (time.Duration, error) {
	before, err := sent()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := h.tell(ctx, "cbr0", "START", "PACKETSIZE=100 INTERVAL=0.002"); err != nil {
		return 0, err
	}
	for time.Since(began) < 10*time.Second {
		now, err := sent()
		if err != nil || now > before {
			return time.Since(began), err
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.New("START, and nothing is sent")
}

// untilStill stops it and returns how long its last packet took.
func (h *host) untilStill(ctx context.Context, sent func() (int64, error)) (time.Duration, error) {
	began := time.Now()
	last := began
	count, err := sent()
	if err != nil {
		return 0, err
	}
	if err := h.tell(ctx, "cbr0", "STOP", ""); err != nil {
		return 0, err
	}
	for time.Since(began) < 300*time.Millisecond {
		now, err := sent()
		if err != nil {
			return 0, err
		}
		if now > count {
			count, last = now, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
	return last.Sub(began), nil
}

// counter reads how many datagrams the jail's network namespace has sent: no
// process of the jail takes part, and ARP isn't among them.
func (h *host) counter(vnode string) (read func() (int64, error), err error) {
	r, err := h.record(vnode)
	if err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/proc/%d/net/snmp", r.PID)
	return func() (int64, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(text), "\nUdp: InDatagrams NoPorts InErrors OutDatagrams")
		_, numbers, found := strings.Cut(rest, "\nUdp: ")
		if words := strings.Fields(numbers); ok && found && len(words) > 3 {
			return strconv.ParseInt(words[3], 10, 64)
		}
		return 0, fmt.Errorf("%s counts no datagrams", path)
	}, nil
}

const (
	bulkRounds  = 5
	bulkSeconds = 4
)

// bulk sends flat out by turns: the generator, iperf3.
func bulk(ctx context.Context, h *host, f *Figure) error {
	if _, err := exec.LookPath("iperf3"); err != nil {
		return fmt.Errorf("%w (apt-get install iperf3)", err)
	}
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	server := h.program(ctx, "enter", "-T", h.vnodes[1], "iperf3", "-s")
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	var ours, theirs []float64
	for range bulkRounds {
		peer, err := rate(ctx, h.program(ctx, "enter", "-T", h.vnodes[0], "iperf3", "-c", "10.1.1.2", "-t", "2", "-J"))
		if err != nil {
			return err
		}
		own, err := h.flatOut(ctx)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, own), append(theirs, peer)
	}
	a, b := median(ours), median(theirs)
	f.Value = a / b
	f.note("trafgen %.1f Gbit/s, iperf3 %.1f Gbit/s, %d times by turns", a/1e9, b/1e9, bulkRounds)
	return nil
}

// flatOut is what the sink got in whole seconds, in bits a second.
func (h *host) flatOut(ctx context.Context) (float64, error) {
	if err := h.tell(ctx, "bulk", "START", "PACKETSIZE=65536 INTERVAL=0"); err != nil {
		return 0, err
	}
	if err := wait(ctx, bulkSeconds*time.Second); err != nil {
		return 0, err
	}
	if err := h.tell(ctx, "bulk", "STOP", ""); err != nil {
		return 0, err
	}
	if err := wait(ctx, quiet); err != nil {
		return 0, err
	}
	all, err := h.lines(ctx, h.vnodes[1], bulkSeconds+2, "sink")
	if err != nil {
		return 0, err
	}
	var rates []float64
	for _, l := range all["sink"] {
		if l.ReceivedBytes > 0 && l.Seconds > 0 {
			rates = append(rates, float64(l.ReceivedBytes)*8/l.Seconds)
		}
	}
	if len(rates) < 3 {
		return 0, fmt.Errorf("the sink has %d seconds with traffic, want 3", len(rates))
	}
	return median(rates), nil
}

// rateTimeout bounds one client, with the server's beginning.
const rateTimeout = 15 * time.Second

// rate runs an iperf3 client and reads what arrived, in bits a second. The
// server may need a moment to begin.
func rate(ctx context.Context, cmd *exec.Cmd) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	for {
		again := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
		out, err := again.Output()
		var said struct {
			Error string
			End   struct {
				Sum struct {
					Rate float64 `json:"bits_per_second"`
				} `json:"sum_received"`
			}
		}
		if jsonErr := json.Unmarshal(out, &said); err == nil {
			err = jsonErr
		}
		if err == nil && said.End.Sum.Rate > 0 {
			return said.End.Sum.Rate, nil
		}
		if wait(ctx, 100*time.Millisecond) != nil {
			return 0, fmt.Errorf("iperf3: %w: %s", err, said.Error)
		}
	}
}
