package trafgen

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"emujail/protocol"
)

// iperfProgram carries the flows whose record asks for another generator than TG
// (GENERATOR=, jail.md §6.1), where the node's root has it.
const iperfProgram = "iperf3"

// Kind is who carries a record's traffic.
type Kind int

// The kinds.
const (
	Own     Kind = iota // this package
	Program             // iperf3
	Nobody              // not provided: iperf3 isn't there, or a simulator is meant
)

// simulator is the generator of a node that simulates; nothing is started for it.
const simulator = "NSE"

// KindOf says who carries a record's traffic in this root.
func KindOf(r protocol.TrafGen) Kind {
	switch r.Generator {
	case "", "TG":
		return Own
	case simulator:
		return Nobody
	}
	if _, err := exec.LookPath(iperfProgram); err != nil {
		return Nobody
	}
	return Program
}

// iperf is a process that sends or receives in a flow's place. It takes its
// parameters when it starts: a change starts another.
type iperf struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has
	err   error         // why, then
}

// iperfEnd bounds its farewell to the other end after TERM.
const iperfEnd = react

// startIperf starts the process; what it prints goes to out, which must bear
// being written to after the flow has let go of it.
func startIperf(rec protocol.TrafGen, p Params, out *printed) (*iperf, error) {
	i := &iperf{cmd: exec.Command(iperfProgram, iperfArgs(rec, p)...), ended: make(chan struct{})}
	i.cmd.Stdout, i.cmd.Stderr, i.cmd.WaitDelay = out, out, time.Second
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := i.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(i.ended)
		if i.err = i.cmd.Wait(); i.err == nil {
			i.err = fmt.Errorf("%s has ended", iperfProgram)
		}
	}()
	return i, nil
}

func iperfArgs(rec protocol.TrafGen, p Params) []string {
	every := []string{"--forceflush", "-i", "1", "-B", rec.MyName}
	if rec.Role == "sink" {
		return append(every, "-s", "-p", strconv.Itoa(rec.MyPort))
	}
	args := append(every, "-c", rec.PeerName, "-p", strconv.Itoa(rec.PeerPort), "-t", "0",
		"-l", strconv.Itoa(max(p.Size, 1)), "-b", strconv.FormatInt(bitRate(p), 10))
	if rec.Proto == "udp" {
		args = append(args, "-u")
	}
	if p.TOS >= 0 {
		args = append(args, "-S", strconv.Itoa(p.TOS))
	}
	return args
}

// bitRate is a flow's in bits a second, for iperf3: 0 is flat out.
func bitRate(p Params) int64 {
	if p.Interval == 0 {
		return 0
	}
	return max(1, int64(math.Round(float64(p.Size)*8*float64(time.Second)/p.Interval)))
}

// over tells that the process has ended, and why.
func (i *iperf) over() error {
	select {
	case <-i.ended:
		return i.err
	default:
		return nil
	}
}

func (i *iperf) send(Params, int) (int, error) { return 0, nil }

func (i *iperf) setTOS(int) error { return nil }

// close has it say good-bye to the other end, or kills it. One that has ended is
// left alone: its number may be another's.
func (i *iperf) close() {
	select {
	case <-i.ended:
		return
	default:
	}
	_ = syscall.Kill(-i.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-i.ended:
	case <-time.After(iperfEnd):
		_ = syscall.Kill(-i.cmd.Process.Pid, syscall.SIGKILL)
		<-i.ended
	}
}

// printed is where the processes of one flow print: LogDir/NAME.iperf3, bounded
// as the flow's other log is.
type printed struct {
	mu  sync.Mutex
	log reporter
}

// Write implements io.Writer. What can't be written is lost: the process is not
// to die of it.
func (w *printed) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log.path != "" {
		_ = w.log.write(text)
	}
	return len(text), nil
}

func (w *printed) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.close()
}

// watch is how often a flow looks whether its process still lives.
const watch = 250 * time.Millisecond

// stepProgram is step for a flow that a process carries: a sink's runs as long as
// the flow, a source's while it sends.
func (f *flow) stepProgram(ctx context.Context) time.Duration {
	if f.isSource() && f.getState() != Sending {
		f.teardown()
		return forever
	}
	if i, ok := f.end.(*iperf); ok {
		if err := i.over(); err != nil {
			return f.trouble(fmt.Errorf("%w: see %s", err, f.out.log.path))
		}
		return watch
	}
	if wait := time.Until(f.next); wait > 0 {
		return wait
	}
	if err := f.setup(ctx); err != nil {
		return f.trouble(err)
	}
	return watch
}
