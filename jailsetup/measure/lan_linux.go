package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

// Rounds of the throughput, by turns, and a turn's length. A processor that is
// slow for a while, as one that is shared is, must be so for both: hence many
// short turns, each round the other way about, and of all their tenths of a
// second the median. A turn's first tenths are TCP's beginning; its last may be
// part of one.
const (
	lanRounds  = 10
	lanSeconds = 2
	lanSkip    = 4 // tenths
	lanTenths  = 10*lanSeconds - 1
)

// rateTimeout bounds one client, with the server's beginning.
const rateTimeout = 10*time.Second + lanSeconds*time.Second

// algorithm is the congestion control of both: one that every jail may choose. It
// is set for a whole namespace, before a connection is made: one that begins with
// bbr, the default of many kernels, keeps bbr's timers after it has changed.
const algorithm = "reno"

// lanRate sends by TCP from one jail to another, and from one bare network
// namespace to another over a veth pair.
func lanRate(ctx context.Context, h *host, f *Figure) error {
	if _, err := exec.LookPath("iperf3"); err != nil {
		return fmt.Errorf("%w (apt-get install iperf3)", err)
	}
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	for _, v := range h.vnodes {
		r, err := h.record(v)
		if err != nil {
			return err
		}
		if err := setAlgorithm(r.PID); err != nil {
			return fmt.Errorf("%s: %w", v, err)
		}
	}
	bare, err := newBare(ctx)
	if err != nil {
		return err
	}
	defer bare.close()
	server := h.program(ctx, "enter", "-T", h.vnodes[1], "iperf3", "-s")
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	args := append([]string{"enter", "-T", h.vnodes[0], "iperf3"}, clientArgs("10.1.1.2")...)
	var ours, theirs []float64
	turns := [...]struct {
		name   string
		client *exec.Cmd
		rates  *[]float64
	}{
		// The peer's server is the host's process, the jail's the jail's.
		{"veth pair", bare.client(ctx, "10.99.0.2"), &theirs},
		{"LAN", h.program(ctx, args...), &ours},
	}
	for n := range 2 * lanRounds {
		turn := turns[(n+n/2)%2] // 0 1, 1 0, 0 1 …
		said, err := iperf(ctx, turn.client)
		if err != nil {
			return fmt.Errorf("%s: %w", turn.name, err)
		}
		if len(said.Intervals) < lanTenths {
			return fmt.Errorf("%s: iperf3 tells of %d tenths of a second, want %d", turn.name, len(said.Intervals), lanTenths)
		}
		for _, i := range said.Intervals[lanSkip:lanTenths] {
			*turn.rates = append(*turn.rates, i.Sum.Rate)
		}
	}
	a, b := middle(ours), middle(theirs)
	f.Value = a / b
	f.note("LAN %.1f Gbit/s, veth pair %.1f Gbit/s, both %s, medians of %d and %d tenths of a second, %d times %d s by turns",
		a/1e9, b/1e9, algorithm, len(ours), len(theirs), lanRounds, lanSeconds)
	return nil
}

// middle is the median.
func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// setAlgorithm sets the congestion control of new connections in the network
// namespace of a process.
func setAlgorithm(pid int) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	return network.In(ns, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte(algorithm), 0)
	})
}

func clientArgs(to string) []string {
	return []string{"-c", to, "-t", strconv.Itoa(lanSeconds), "-i", "0.1", "-J"}
}

// transfer is what an iperf3 client says of it; rates are in bits a second.
type transfer struct {
	Error     string
	Intervals []struct {
		Sum rate
	}
	End struct {
		Sum rate `json:"sum_received"`
	}
}

type rate struct {
	Rate float64 `json:"bits_per_second"`
}

// iperf runs an iperf3 client. The server may need a moment to begin.
func iperf(ctx context.Context, cmd *exec.Cmd) (said transfer, err error) {
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	for {
		again := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
		again.SysProcAttr = cmd.SysProcAttr
		out, err := again.Output()
		said = transfer{}
		if jsonErr := json.Unmarshal(out, &said); err == nil {
			err = jsonErr
		}
		if err == nil && said.End.Sum.Rate > 0 {
			return said, nil
		}
		select {
		case <-ctx.Done():
			return said, fmt.Errorf("iperf3: %w: %s", err, said.Error)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// bare is two network namespaces, each with a process in it, joined by a veth
// pair; an iperf3 serves in the other.
type bare struct {
	one, other, server *exec.Cmd
}

func newBare(ctx context.Context) (b *bare, err error) {
	b = &bare{}
	for _, end := range []**exec.Cmd{&b.one, &b.other} {
		if *end, err = inNewNet(ctx); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	err = errors.Join(b.join(ctx), setAlgorithm(b.one.Process.Pid), setAlgorithm(b.other.Process.Pid))
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.server = in(ctx, b.other.Process.Pid, "iperf3", "-s")
	if err := b.server.Start(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// inNewNet starts a process that does nothing but have a network namespace.
func inNewNet(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	return cmd, cmd.Start()
}

// in is a command in a process's network namespace.
func in(ctx context.Context, pid int, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", pid)}, argv...)...)
}

func (b *bare) join(ctx context.Context) error {
	one, two := netlink.NewLinkAttrs(), "bare1"
	one.Name = "bare0"
	pair := &netlink.Veth{LinkAttrs: one, PeerName: two, PeerNamespace: netlink.NsPid(b.other.Process.Pid)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make veth pair: %w", err)
	}
	if err := netlink.LinkSetNsPid(pair, b.one.Process.Pid); err != nil {
		return err
	}
	for _, end := range [...]struct {
		pid        int
		name, addr string
	}{{b.one.Process.Pid, "bare0", "10.99.0.1/24"}, {b.other.Process.Pid, "bare1", "10.99.0.2/24"}} {
		if err := setAddress(ctx, end.pid, end.name, end.addr); err != nil {
			return fmt.Errorf("set up %s: %w", end.name, err)
		}
	}
	return nil
}

// setTimeout bounds one call of ip.
const setTimeout = 10 * time.Second

func setAddress(ctx context.Context, pid int, name, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	for _, argv := range [...][]string{{"ip", "addr", "add", addr, "dev", name}, {"ip", "link", "set", name, "up"}} {
		out, err := in(ctx, pid, argv...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// client is an iperf3 in the first namespace.
func (b *bare) client(ctx context.Context, to string) *exec.Cmd {
	return in(ctx, b.one.Process.Pid, append([]string{"iperf3"}, clientArgs(to)...)...)
}

func (b *bare) close() error {
	for _, cmd := range []*exec.Cmd{b.server, b.one, b.other} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	return nil
}
