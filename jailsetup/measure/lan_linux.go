package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
)

// The two take turns so short that what slows a shared processor slows both; the
// ratio is taken turn by turn. Each bout is of new processes, connections and
// memory.
const (
	lanBouts = 4
	lanTurns = 150
	lanTurn  = 80 * time.Millisecond
	lanLead  = 20 * time.Millisecond // before each, not counted
)

// lanTimeout bounds what each program needs to begin.
const lanTimeout = 10 * time.Second

// lanBegun is how much must have arrived, in bytes, before the first turn.
const lanBegun = 1 << 20

// algorithm is the congestion control of both: one that every jail may choose. It
// is set for a whole namespace, before a connection is made: one that begins with
// bbr, some hosts' default, keeps bbr's timers after it has changed.
const algorithm = "reno"

// lanRate sends by TCP from one jail to another, and from one bare network
// namespace to another over a veth pair.
func lanRate(ctx context.Context, h *host, f *Figure) error {
	if _, err := exec.LookPath("iperf3"); err != nil {
		return fmt.Errorf("%w (apt-get install iperf3)", err)
	}
	var ours, theirs, ratios []float64
	for range lanBouts {
		err := lanBout(ctx, h, func(a, b float64) {
			ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, a/b)
		})
		if err != nil {
			return err
		}
	}
	f.Value = median(ratios)
	f.note("LAN %.1f Gbit/s, veth pair %.1f Gbit/s, both %s, what arrives, medians of %d times %d turns of %v",
		median(ours)/1e9, median(theirs)/1e9, algorithm, lanBouts, lanTurns, lanTurn)
	return nil
}

// lanBout has both send, and tells what arrives in each turn, in bits a second.
func lanBout(ctx context.Context, h *host, tell func(ours, theirs float64)) error {
	ours, err := newFlow("LAN", h.o.Dir)
	if err != nil {
		return err
	}
	defer ours.close()
	theirs, err := newFlow("veth pair", h.o.Dir)
	if err != nil {
		return err
	}
	defer theirs.close()
	if err := ours.overLAN(ctx, h); err != nil {
		return ours.fail(err)
	}
	if err := theirs.overVeth(ctx); err != nil {
		return theirs.fail(err)
	}
	flows := [...]*flow{ours, theirs}
	for n := range lanTurns {
		var rates [2]float64
		for i := range flows {
			k := (n + i) % 2
			if rates[k], err = flows[k].turn(ctx); err != nil {
				return flows[k].fail(err)
			}
		}
		tell(rates[0], rates[1])
	}
	return nil
}

// flow is an iperf3 that sends to another for as long as it is let.
type flow struct {
	name      string
	sender    *os.Process // stopped between turns
	receiver  int         // a process where it arrives
	link      string      // by which it arrives there
	processes []*exec.Cmd // to kill, in this order
	said      *os.File    // by these, when something is wrong
}

func newFlow(name, dir string) (*flow, error) {
	said, err := os.CreateTemp(dir, "said")
	return &flow{name: name, said: said}, err
}

// start starts a program that close ends.
func (f *flow) start(cmd *exec.Cmd) error {
	cmd.Stderr = f.said
	f.processes = append([]*exec.Cmd{cmd}, f.processes...)
	return cmd.Start()
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
	f.processes = nil
	_ = f.said.Close() // its directory goes with it
}

// fail tells which it was, and what its programs said.
func (f *flow) fail(err error) error {
	text := make([]byte, 4096)
	n, _ := f.said.ReadAt(text, 0) // that there is less is no error
	if text = bytes.TrimSpace(text[:n]); len(text) > 0 {
		return fmt.Errorf("%s: %w: %s", f.name, err, text)
	}
	return fmt.Errorf("%s: %w", f.name, err)
}

// turn lets it send, and returns how much arrived, in bits a second.
func (f *flow) turn(ctx context.Context) (float64, error) {
	if err := f.sender.Signal(syscall.SIGCONT); err != nil {
		return 0, fmt.Errorf("let iperf3 go on: %w", err)
	}
	if err := wait(ctx, lanLead); err != nil {
		return 0, err
	}
	before, err := f.arrived()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := wait(ctx, lanTurn); err != nil {
		return 0, err
	}
	after, err := f.arrived()
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	if after == before {
		return 0, errors.New("nothing arrives of what iperf3 sends")
	}
	return 8 * float64(after-before) / took.Seconds(), f.sender.Signal(syscall.SIGSTOP)
}

// arrived is what has come in by the link, in bytes.
func (f *flow) arrived() (uint64, error) {
	list, err := network.Counters(f.receiver)
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		if c.Name == f.link {
			return c.InBytes, nil
		}
	}
	return 0, fmt.Errorf("no link %s where iperf3 receives", f.link)
}

// overLAN makes it go from the first jail to the second.
func (f *flow) overLAN(ctx context.Context, h *host) error {
	if err := h.bootAll(ctx, h.vnodes[:2]); err != nil {
		return err
	}
	var ends [2]jail.Record
	for i := range ends {
		var err error
		if ends[i], err = h.record(h.vnodes[i]); err != nil {
			return err
		}
		if err := setAlgorithm(ends[i].PID); err != nil {
			return fmt.Errorf("%s: %w", h.vnodes[i], err)
		}
	}
	f.receiver, f.link = ends[1].PID, "eth1"
	if err := f.serve(ctx, h.program(ctx, "enter", "-T", h.vnodes[1], "iperf3", "-s")); err != nil {
		return err
	}
	if err := f.start(h.program(ctx, "enter", "-T", h.vnodes[0], "iperf3", "-c", "10.1.1.2", "-t", "0")); err != nil {
		return err
	}
	var err error
	if f.sender, err = findIn(ctx, ends[0].CgroupDir, "iperf3"); err != nil {
		return err
	}
	return f.begin(ctx)
}

// overVeth makes it go from one new network namespace to another over a veth
// pair.
func (f *flow) overVeth(ctx context.Context) error {
	var pids [2]int
	for i := range pids {
		end := inNewNet(ctx)
		if err := f.start(end); err != nil {
			return err
		}
		pids[i] = end.Process.Pid
	}
	if err := errors.Join(join(ctx, pids[0], pids[1]), setAlgorithm(pids[0]), setAlgorithm(pids[1])); err != nil {
		return err
	}
	f.receiver, f.link = pids[1], "bare1"
	if err := f.serve(ctx, in(ctx, pids[1], "iperf3", "-s")); err != nil {
		return err
	}
	client := in(ctx, pids[0], "iperf3", "-c", "10.99.0.2", "-t", "0")
	if err := f.start(client); err != nil {
		return err
	}
	f.sender = client.Process // nsenter becomes what it starts
	return f.begin(ctx)
}

// serve starts the server and waits until it listens.
func (f *flow) serve(ctx context.Context, server *exec.Cmd) error {
	if err := f.start(server); err != nil {
		return err
	}
	return awaitListener(ctx, f.receiver)
}

// begin waits until it is under way, and stops it.
func (f *flow) begin(ctx context.Context) error {
	err := await(ctx, "a transfer", func() (bool, error) {
		n, err := f.arrived()
		return n >= lanBegun, err
	})
	return errors.Join(err, f.sender.Signal(syscall.SIGSTOP))
}

// awaitListener waits for an iperf3 that serves.
func awaitListener(ctx context.Context, pid int) error {
	const port, listens = ":1451 ", " 0A " // 5201 and LISTEN, as /proc/net/tcp has them
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
