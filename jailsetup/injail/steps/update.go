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

// updateLock keeps two updates, or an update and a boot, apart.
const updateLock = lockDir + "/node_update_lockfile"

// How long an update waits for another one: every 5 s, at most 20 times
// (jail.md §3.9).
const (
	lockPause = 5 * time.Second
	lockTries = 20
)

const updateUsage = `usage: injail update [-i] [-l] [-t] [-a] [-r] [-root DIR]

Asks tmcd again and brings this node up to date.
  -l         accounts (the default)
  -t         tarballs and rpms
  -a         everything that has changed; what hasn't goes on undisturbed
  -r         everything anew: shutdown, then boot
  -i         give up if another update is under way
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
// anew it is a Reconfig.
func (n *Node) Update(ctx context.Context, names []string, anew, impatient bool) (err error) {
	release, err := n.lock(ctx, impatient)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if anew {
		_, err := n.Do(ctx, Reconfig)
		return err
	}
	sum, err := n.Do(ctx, Refresh, names...)
	if err == nil && sum.Failures() > 0 {
		err = fmt.Errorf("%d steps failed: see %s/%s.log", sum.Failures(), logDir, Refresh)
	}
	return err
}

// lock takes the lock of updates.
func (n *Node) lock(ctx context.Context, impatient bool) (release func() error, err error) {
	if err := os.MkdirAll(n.path(lockDir), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(n.path(updateLock), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if impatient || try == lockTries || !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: another update is under way: %w", updateLock, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(lockPause):
		}
	}
}
