package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"emujail/jailsetup/injail/agents"
)

// Exit codes of `injail rc`.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: injail rc boot|shutdown|reconfig|reset

Configures this jail as tmcd says.
  boot      run all steps in order, report ISUP (or TBFAILED)
  shutdown  end what the steps have started, in reverse order
  reconfig  shutdown, ask tmcd anew, boot
  reset     remove what the steps have written, in reverse order
Each waits for an update that is under way, 100 s at most.
Logs: /var/emulab/logs/boot.log, boot.json. Environment: TMCCVNODEID, the
node's id where /run/emulab/jail.conf doesn't say.
`

// Main is `injail rc`. It returns the exit code.
func Main(args []string) int {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Print(usage)
		return exitOK
	}
	if len(args) == 0 {
		args = []string{string(Boot)}
	}
	if len(args) != 1 || !known(Action(args[0])) {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	n, err := Open("/", os.Getenv("TMCCVNODEID"), os.Stdout)
	if err == nil {
		n.Reboot = rebootJail
		_, err = n.Do(ctx, Action(args[0]))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "injail rc: cannot %s: %v\n", args[0], err)
		return exitFailed
	}
	return exitOK
}

func known(a Action) bool { return a == Boot || a == Shutdown || a == Reconfig || a == Reset }

// Do carries an action out, with the steps of these names, all if there are
// none, and reports to tmcd what a boot came to. The error is the fatal one; the
// failures of other steps are in the summary. No update is under way meanwhile:
// one that isn't done in time is fatal to a boot, but where the node is up by an
// earlier one, which it stays.
func (n *Node) Do(ctx context.Context, a Action, names ...string) (sum *Summary, err error) {
	release, err := n.lock(ctx, n.patience)
	if err != nil && (a != Boot || n.isUp()) {
		return &Summary{Action: string(a), VNode: n.VNode, Error: err.Error()}, err
	}
	if err != nil {
		return n.do(ctx, a, func(context.Context, *Summary) error { return err })
	}
	defer func() { err = errors.Join(err, release()) }()
	return n.do(ctx, a, n.steps(a, names))
}

// isUp tells whether ISUP was reported in this boot.
func (n *Node) isUp() bool {
	_, err := os.Lstat(n.path(wasUp))
	return !errors.Is(err, fs.ErrNotExist)
}

// do is Do, once no update is under way.
func (n *Node) do(ctx context.Context, a Action, act func(context.Context, *Summary) error) (*Summary, error) {
	var log syncBuffer
	out := n.Out
	n.Out = io.MultiWriter(out, &log)
	defer func() { n.Out = out }()

	sum := &Summary{Action: string(a), VNode: n.VNode, Began: n.now()}
	if n.Conf.NotProvided != "" {
		sum.Missing = []string{n.Conf.NotProvided}
	}
	err := act(ctx, sum)
	if errors.Is(err, errFree) {
		fmt.Fprintf(n.Out, "%s is free: nothing to configure\n", n.VNode)
		return sum, n.save(sum, log.bytes())
	}
	if errors.Is(err, errReboot) {
		fmt.Fprintf(n.Out, "%s boots again: %v\n", n.VNode, err)
		return sum, errors.Join(n.save(sum, log.bytes()), n.Reboot())
	}
	if a == Boot || a == Reconfig {
		err = n.conclude(ctx, sum, err, &log)
	} else if err != nil {
		sum.Error = err.Error()
	}
	sum.MS = float64(time.Since(sum.Began).Microseconds()) / 1000
	fmt.Fprint(n.Out, sum.Text())
	return sum, errors.Join(err, n.save(sum, log.bytes()))
}

// steps is what an action runs.
func (n *Node) steps(a Action, names []string) func(context.Context, *Summary) error {
	all := append(setup(), choose(table(), names)...)
	if a != Reconfig {
		return func(ctx context.Context, sum *Summary) error { return n.run(ctx, a, all, sum) }
	}
	return func(ctx context.Context, sum *Summary) error {
		if err := n.run(ctx, Shutdown, all, sum); err != nil {
			return err
		}
		n.Conf.NickName, n.again = "", true // the name may have changed since the host asked
		return n.run(ctx, Boot, all, sum)
	}
}

func choose(steps []Step, names []string) []Step {
	if len(names) == 0 {
		return steps
	}
	return slices.DeleteFunc(steps, func(s Step) bool { return !slices.Contains(names, s.Name) })
}

// conclude reports the state: ISUP if nothing fatal happened, else TBFAILED
// with the reasons.
func (n *Node) conclude(ctx context.Context, sum *Summary, err error, log *syncBuffer) error {
	if err == nil {
		sum.State = "ISUP"
		// On disk before it is reported: whoever waits for ISUP finds it. Do writes it once more, whole.
		if err := n.save(sum, log.bytes()); err != nil {
			fmt.Fprintf(n.Out, "%v\n", err)
		}
		if err = n.insist(ctx, func() error { return n.Client.State(ctx, "ISUP") }); err == nil {
			_, err := n.put(wasUp, nil, 0o644, false)
			return errors.Join(err, n.announce(ctx))
		}
		err = fmt.Errorf("report ISUP: %w", err)
	}
	sum.State, sum.Error = "TBFAILED", err.Error()
	fmt.Fprintf(n.Out, "%s: fatal: %v\n", n.now().Format(clock), err)
	return errors.Join(err, n.fail(ctx, log.bytes()))
}

// announce lets the start-up command run. It's the user's: that it can't be run
// is reported to tmcd by the agents, and no failure of the boot.
func (n *Node) announce(ctx context.Context) error {
	if err := n.tellUp(ctx); err != nil {
		fmt.Fprintf(n.Out, "%s: start-up command: %v\n", n.now().Format(clock), err)
	}
	return nil
}

// How long agents that were killed a moment ago are waited for: init starts them
// again after 0.2 s.
const (
	backWait = 10 * time.Second
	backLook = 50 * time.Millisecond
)

// tellUp tells the agents that the node is up, once more if they die of it: they
// run the command once. A socket that refuses is that of dead ones, and gone for an
// instant when the next ones come; without a socket there are none here.
func (n *Node) tellUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, backWait)
	defer cancel()
	for dead := false; ; {
		err := agents.Up(ctx, agents.Below(n.Root).Socket)
		gone := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
		dead = dead || gone
		if !gone && !(dead && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(backLook):
		}
	}
}

// syncBuffer keeps what is printed; steps may print from several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}
