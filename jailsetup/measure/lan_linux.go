package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
)

// The two send by turns, so often that a processor which is slow for a while, as
// one that is shared is, is so for both: their ratio is taken turn by turn.
const (
	lanTurns = 400
	lanTurn  = 80 * time.Millisecond
	lanLead  = 20 * time.Millisecond // before each, not counted
)

// lanTimeout bounds what each program needs to begin.
const lanTimeout = 10 * time.Second

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
	ours, err := h.lanFlow(ctx)
	if err != nil {
		return fmt.Errorf("LAN: %w", err)
	}
	defer ours.close()
	theirs, err := bareFlow(ctx)
	if err != nil {
		return fmt.Errorf("veth pair: %w", err)
	}
	defer theirs.close()
	var a, b, ratios []float64
	for n := range lanTurns {
		pair := [...]*flow{ours, theirs}
		if n%2 == 1 {
			slices.Reverse(pair[:])
		}
		rates := map[*flow]float64{}
		for _, one := range pair {
			if rates[one], err = one.turn(ctx); err != nil {
				return err
			}
		}
		a, b = append(a, rates[ours]), append(b, rates[theirs])
		ratios = append(ratios, rates[ours]/rates[theirs])
	}
	f.Value = middle(ratios)
	f.note("LAN %.1f Gbit/s, veth pair %.1f Gbit/s, both %s, medians of %d turns of %v", middle(a)/1e9, middle(b)/1e9, algorithm, lanTurns, lanTurn)
	return nil
}

// middle is the median.
func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// flow is an iperf3 that sends to another for as long as it is let.
type flow struct {
	sender    *os.Process // stopped between turns
	link      string      // that it sends by
	processes []*exec.Cmd // to kill, in this order
}

// close ends it.
func (f *flow) close() {
	if f.sender != nil {
		_ = f.sender.Kill()
	}
	for _, cmd := range f.processes {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
}

// start starts a program that close ends.
func (f *flow) start(cmd *exec.Cmd) error {
	f.processes = append([]*exec.Cmd{cmd}, f.processes...)
	return cmd.Start()
}

// turn lets it send, and returns how much it sent, in bits a second.
func (f *flow) turn(ctx context.Context) (float64, error) {
	if err := f.sender.Signal(syscall.SIGCONT); err != nil {
		return 0, fmt.Errorf("iperf3 by %s: %w", f.link, err)
	}
	if err := wait(ctx, lanLead); err != nil {
		return 0, err
	}
	before, err := f.sent()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := wait(ctx, lanTurn); err != nil {
		return 0, err
	}
	after, err := f.sent()
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	if after == before {
		return 0, fmt.Errorf("iperf3 sends nothing by %s", f.link)
	}
	return 8 * float64(after-before) / took.Seconds(), f.sender.Signal(syscall.SIGSTOP)
}

// sent is what has left by the link, in bytes.
func (f *flow) sent() (uint64, error) {
	list, err := network.Counters(f.sender.Pid)
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		if c.Name == f.link {
			return c.OutBytes, nil
		}
	}
	return 0, fmt.Errorf("no link %s where iperf3 sends", f.link)
}

// lanFlow goes from the first jail to the second.
func (h *host) lanFlow(ctx context.Context) (f *flow, err error) {
	if err := h.bootAll(ctx, h.vnodes[:2]); err != nil {
		return nil, err
	}
	var ends [2]jail.Record
	for i := range ends {
		if ends[i], err = h.record(h.vnodes[i]); err != nil {
			return nil, err
		}
		if err := setAlgorithm(ends[i].PID); err != nil {
			return nil, fmt.Errorf("%s: %w", h.vnodes[i], err)
		}
	}
	f = &flow{link: "eth1"}
	err = f.begin(ctx, h.program(ctx, "enter", "-T", h.vnodes[1], "iperf3", "-s"), ends[1].PID,
		h.program(ctx, "enter", "-T", h.vnodes[0], "iperf3", "-c", "10.1.1.2", "-t", "0"))
	if err == nil {
		f.sender, err = findIn(ctx, ends[0].CgroupDir, "iperf3")
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, f.sender.Signal(syscall.SIGSTOP)
}

// begin starts the server, and the client once the server, which is in the
// network namespace of this process, listens.
func (f *flow) begin(ctx context.Context, server *exec.Cmd, at int, client *exec.Cmd) error {
	if err := f.start(server); err != nil {
		return err
	}
	if err := awaitListener(ctx, at); err != nil {
		return err
	}
	return f.start(client)
}

// awaitListener waits for an iperf3 that serves.
func awaitListener(ctx context.Context, pid int) error {
	const port, listens = ":1451 ", " 0A " // 5201, as /proc/net/tcp has it
	return await(ctx, "an iperf3 that listens", func() (bool, error) {
		for _, table := range [...]string{"tcp", "tcp6"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
			if err != nil {
				return false, err
			}
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, port) && strings.Contains(line, listens) {
					return true, nil
				}
			}
		}
		return false, nil
	})
}

// findIn waits for a process of that name in a cgroup.
func findIn(ctx context.Context, cgroup, name string) (found *os.Process, err error) {
	err = await(ctx, "a process "+name, func() (bool, error) {
		pids, err := processesOf(cgroup)
		for _, pid := range pids {
			if nameOf(pid) == name {
				found, err = os.FindProcess(pid)
				return err == nil, err
			}
		}
		return false, err
	})
	return found, err
}

func await(ctx context.Context, what string, there func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lanTimeout, fmt.Errorf("%s: none within %s", what, lanTimeout))
	defer cancel()
	for {
		if ok, err := there(); ok || err != nil {
			return err
		}
		if wait(ctx, 20*time.Millisecond) != nil {
			return context.Cause(ctx)
		}
	}
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

// bareFlow goes from one new network namespace to another over a veth pair.
func bareFlow(ctx context.Context) (*flow, error) {
	f := &flow{link: "bare0"}
	var pids [2]int
	for i := range pids {
		end := inNewNet(ctx)
		if err := f.start(end); err != nil {
			f.close()
			return nil, err
		}
		pids[i] = end.Process.Pid
	}
	err := join(ctx, pids[0], pids[1])
	for _, pid := range pids {
		err = errors.Join(err, setAlgorithm(pid))
	}
	if err == nil {
		client := in(ctx, pids[0], "iperf3", "-c", "10.99.0.2", "-t", "0")
		err = f.begin(ctx, in(ctx, pids[1], "iperf3", "-s"), pids[1], client)
		f.sender = client.Process // nsenter becomes what it starts
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, f.sender.Signal(syscall.SIGSTOP)
}

// inNewNet is a process that does nothing but have a network namespace.
func inNewNet(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	return cmd
}

// in is a command in a process's network namespace.
func in(ctx context.Context, pid int, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", pid)}, argv...)...)
}

// join makes a veth pair between the network namespaces of two processes.
func join(ctx context.Context, one, other int) error {
	attrs, peer := netlink.NewLinkAttrs(), "bare1"
	attrs.Name = "bare0"
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsPid(other)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make veth pair: %w", err)
	}
	if err := netlink.LinkSetNsPid(pair, one); err != nil {
		return err
	}
	for _, end := range [...]struct {
		pid        int
		name, addr string
	}{{one, attrs.Name, "10.99.0.1/24"}, {other, peer, "10.99.0.2/24"}} {
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
