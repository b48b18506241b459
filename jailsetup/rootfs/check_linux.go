package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
)

// Deadlines of a check. A clean disk takes some 10 ms; the rest is for one that
// a power cut has left.
const (
	fsckTimeout = 2 * time.Minute
	freeTimeout = 10 * time.Second
)

// Check is the step that looks at a disk from before, before it is mounted: it
// waits until the last boot's mount has let go of it, replays the journal and
// mends what can be mended without asking (jail.md §2.5). It undoes nothing.
type Check struct {
	Path string // of the jail's image
}

// String implements [plan.Step].
func (c Check) String() string { return fmt.Sprintf("check disk %s (e2fsck -p)", c.Path) }

// Undo implements [plan.Step].
func (c Check) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (c Check) Do(ctx context.Context, _ *plan.State) error {
	if err := awaitUnused(ctx, c.Path); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fsckTimeout)
	defer cancel()
	fsck := exec.CommandContext(ctx, "e2fsck", "-p", c.Path)
	fsck.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	fsck.WaitDelay = time.Second
	out, err := fsck.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("e2fsck -p: %w", context.Cause(ctx))
	}
	const mended = 1 | 2 // e2fsck(8); the second bit wants a reboot if it was mounted, which it isn't
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode()&^mended == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("e2fsck -p: %w: %s (mend it by hand with e2fsck %s, or remove it with jailsetup kill)", err, firstLine(out), c.Path)
	}
	return nil
}

const maxWords = 300

// firstLine says what is wrong; what follows is advice for a disk of one's own.
func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line[:min(len(line), maxWords)]
}

// awaitUnused waits until nobody has the image open. The loop device of the
// last boot lets go of it some time after the jail's last process (spec/linux.md
// §13); two mounts of one disk would ruin it. A write lease is granted to the
// only one that has the file open.
func awaitUnused(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, freeTimeout)
	defer cancel()
	for {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		if err == nil {
			_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
			return err
		}
		if !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("ask who uses %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still in use", path)
		case <-time.After(time.Millisecond):
		}
	}
}
