package passwd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// poll is how long a wait for another holder's lock lasts between two looks.
const poll = 20 * time.Millisecond

// lock is what shadow-utils' programs hold while they write: an fcntl lock on
// .pwd.lock (lckpwdf(3)), then NAME.lock for each file, in this order.
type lock struct {
	pwd   *os.File
	files []string // the NAME.lock that are ours
}

func acquire(ctx context.Context, dir string) (*lock, error) {
	pwd, err := os.OpenFile(filepath.Join(dir, ".pwd.lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &lock{pwd: pwd}
	if err := lockWhole(ctx, pwd); err != nil {
		return nil, errors.Join(err, l.release())
	}
	for _, name := range []string{"passwd", "group", "gshadow", "shadow"} {
		if err := l.linkLock(ctx, filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, l.release())
		}
	}
	return l, nil
}

// release gives all locks back, the last one taken first.
func (l *lock) release() error {
	var err error
	for i := len(l.files) - 1; i >= 0; i-- {
		err = errors.Join(err, os.Remove(l.files[i]))
	}
	return errors.Join(err, l.pwd.Close())
}

// lockWhole takes the write lock of lckpwdf(3). An open-file-description lock
// excludes the process locks of others and, unlike them, isn't lost when this
// process closes another descriptor of the file.
func lockWhole(ctx context.Context, f *os.File) error {
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		if err := pause(ctx, f.Name()); err != nil {
			return err
		}
	}
}

// linkLock makes path.lock by link(2) from a file that holds our pid: of two
// that try, one gets EEXIST.
func (l *lock) linkLock(ctx context.Context, path string) error {
	own := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(own, fmt.Appendf(nil, "%d\x00", os.Getpid()), 0o600); err != nil {
		return err
	}
	defer os.Remove(own)
	for {
		err := os.Link(own, path+".lock")
		if err == nil {
			l.files = append(l.files, path+".lock")
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if stale(path + ".lock") {
			if err := os.Remove(path + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err := pause(ctx, path+".lock"); err != nil {
			return err
		}
	}
}

// stale says whether the writer of a lock file is gone: its pid doesn't exist,
// or belongs to a process that began after the lock was made. The second is
// the rule after a reboot, when small pids come again.
func stale(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(string(bytes.TrimRight(text, "\x00\n ")))
	if err != nil || pid <= 0 {
		return false
	}
	if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
		return true
	}
	made, err := os.Stat(path)
	if err != nil {
		return false
	}
	began, err := started(pid)
	return err == nil && began.After(made.ModTime().Add(time.Second))
}

// clockTick is USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 100

// started returns when the process began, to a hundredth of a second or so.
func started(pid int) (time.Time, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return time.Time{}, err
	}
	// The name in parentheses may hold anything; the fields after it don't.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return time.Time{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64) // field 22 of proc_pid_stat(5)
	if err != nil {
		return time.Time{}, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return time.Time{}, err
	}
	age := time.Duration(now.Nano()) - time.Duration(ticks)*(time.Second/clockTick)
	return time.Now().Add(-age), nil
}

func pause(ctx context.Context, what string) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("lock %s: held by another program: %w", what, context.Cause(ctx))
	case <-time.After(poll):
		return nil
	}
}
