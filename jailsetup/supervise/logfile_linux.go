package supervise

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// What a supervisor that a verb has started logs goes to a file. Jails can make
// it say things, so it is bounded (peers.md T13): beyond maxLog it becomes
// serve.log.0, in place of an older one, and a new one begins.
const (
	maxLog      = 8 << 20
	logInterval = time.Minute
)

// keepLog looks after the log until ctx ends. What goes elsewhere, to systemd's
// journal or a terminal, is somebody else's.
func keepLog(ctx context.Context, site jail.Site, log *slog.Logger) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	for {
		if err := rotateLog(filepath.Join(site.State, logName), int(os.Stderr.Fd()), maxLog); err != nil {
			log.Warn("log is not rotated", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rotateLog makes descriptor fd lead to a new file at path, if it leads to the
// one there and that is longer than most. Processes that were started before,
// the proxy among them, write on to the old one, which is cut when it has
// doubled: all of them append.
func rotateLog(path string, fd int, most int64) error {
	old := path + ".0"
	if info, err := os.Lstat(old); err == nil && info.Mode().IsRegular() && info.Size() > 2*most {
		if err := os.Truncate(old, 0); err != nil {
			return err
		}
	}
	var here, open unix.Stat_t
	err := unix.Lstat(path, &here)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err = errors.Join(err, unix.Fstat(fd, &open)); err != nil {
		return err
	}
	if here.Dev != open.Dev || here.Ino != open.Ino || here.Size <= most {
		return nil
	}
	if err := os.Rename(path, old); err != nil {
		return err
	}
	return leadTo(path, fd)
}

// leadTo makes descriptor fd lead to the log at path, a new one if there is none.
func leadTo(path string, fd int) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.Dup3(int(f.Fd()), fd, 0), f.Close())
}
