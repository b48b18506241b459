package steps

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// updateLock keeps two updates, or an update and an action of `injail rc`, apart.
// The kernel takes it back from a process that ends, however it ends.
const updateLock = lockDir + "/node_update_lockfile"

// How long one waits for the other: 20 times 5 s, as in the original
// (jail.md §3.9). It looks more often, since a boot has better to do.
const (
	updateWait = 100 * time.Second
	updateLook = 50 * time.Millisecond
)

// errBusy is what becomes of who has waited in vain.
var errBusy = errors.New("a boot or another update is under way")

const updateUsage = `usage: injail update [-i] [-l] [-t] [-a] [-r] [-root DIR]

Asks tmcd again and brings this node up to date. Waits for a boot or another
update that is under way, 100 s at most.
  -l         accounts (the default)
  -t         tarballs and rpms
  -a         everything that has changed; what hasn't goes on undisturbed
  -r         everything anew: shutdown, then boot
  -i         give up if a boot or another update is under way
  -root DIR  the jail's root directory (default /)
`

// UpdateMain is `injail update`. It returns the exit code.
func UpdateMain(args []string) int {
	fl := flag.NewFlagSet("injail update", flag.ContinueOnError)
	fl.SetOutput(io.Discard)
	impatient := fl.Bool("i", false, "")
	fl.Bool("l", false, "") // the default, for those who say it
	software := fl.Bool("t", false, "")
	all := fl.Bool("a", false, "")
	anew := fl.Bool("r", false, "")
	root := fl.String("root", "/", "")
	if err := fl.Parse(args); err != nil || fl.NArg() > 0 {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(updateUsage)
			return exitOK
		}
		fmt.Fprint(os.Stderr, updateUsage)
		return exitUsage
	}
	names := []string{"accounts"}
	switch {
	case *all:
		names = nil
	case *software:
		names = []string{"tarballs", "rpms"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	n, err := Open(*root, os.Getenv("TMCCVNODEID"), os.Stdout)
	if err == nil {
		err = n.Update(ctx, names, *anew, *impatient)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "injail update: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// Update asks for the configuration anew and runs the steps of these names,
// all if there are none. No state is reported: the node is up already. With
// anew it is a Reconfig. It waits for a boot or another update that is under
// way, if it isn't impatient, and not for ever.
func (n *Node) Update(ctx context.Context, names []string, anew, impatient bool) (err error) {
	patience := n.patience
	if impatient {
		patience = 0
	}
	release, err := n.lock(ctx, patience)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if anew {
		_, err := n.do(ctx, Reconfig, n.steps(Reconfig, nil))
		return err
	}
	sum, err := n.do(ctx, Refresh, n.steps(Refresh, names))
	if err == nil && sum.Failures() > 0 {
		err = fmt.Errorf("%d steps failed: see %s/%s.log", sum.Failures(), logDir, Refresh)
	}
	return err
}

// lock takes the lock of updates. Whoever may open its file may hold it, so
// that's root alone.
func (n *Node) lock(ctx context.Context, patience time.Duration) (release func() error, err error) {
	if err := os.MkdirAll(n.path(lockDir), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(n.path(updateLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Chmod(0o600) // it may be older than that rule
	if err == nil {
		err = n.awaitLock(ctx, f, patience)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", updateLock, err), f.Close())
	}
	return f.Close, nil
}

// awaitLock says so if it has to wait.
func (n *Node) awaitLock(ctx context.Context, f *os.File, patience time.Duration) error {
	for began, told := time.Now(), false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if time.Since(began) >= patience {
			return errBusy
		}
		if !told {
			fmt.Fprintf(n.Out, "%s: %v: waiting for %v at most\n", n.now().Format(clock), errBusy, patience)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(updateLook):
		}
	}
}
