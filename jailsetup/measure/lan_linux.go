package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rounds of the throughput, by turns, and a turn's length.
const (
	lanRounds  = 5
	lanSeconds = 2
)

// rateTimeout bounds one client, with the server's beginning.
const rateTimeout = 10*time.Second + lanSeconds*time.Second

// algorithm is the congestion control of both: one that every jail may choose.
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
	var ours, theirs []float64
	for range lanRounds {
		// The peer's server is the host's process, the jail's the jail's.
		theirRate, err := rate(ctx, bare.client(ctx, "10.99.0.2"))
		if err != nil {
			return fmt.Errorf("veth pair: %w", err)
		}
		args := append([]string{"enter", "-T", h.vnodes[0], "iperf3"}, clientArgs("10.1.1.2")...)
		ourRate, err := rate(ctx, h.program(ctx, args...))
		if err != nil {
			return fmt.Errorf("LAN: %w", err)
		}
		ours, theirs = append(ours, ourRate), append(theirs, theirRate)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	a, b := ours[lanRounds/2], theirs[lanRounds/2]
	f.Value = a / b
	f.note("LAN %.1f Gbit/s, veth pair %.1f Gbit/s, both %s, %d times %d s by turns", a/1e9, b/1e9, algorithm, lanRounds, lanSeconds)
	return nil
}

func clientArgs(to string) []string {
	return []string{"-c", to, "-C", algorithm, "-t", strconv.Itoa(lanSeconds), "-J"}
}

// rate runs an iperf3 client and reads what arrived, in bits a second. The
// server may need a moment to begin.
func rate(ctx context.Context, cmd *exec.Cmd) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	for {
		again := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
		again.SysProcAttr = cmd.SysProcAttr
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
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("iperf3: %w: %s", err, said.Error)
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
	if err := b.join(ctx); err != nil {
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
