package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// spareDir, below the templates', holds a clone of each template in use, made
// ahead and synced: the next jail's disk. To clone takes a millisecond, but what
// mounts the clone waits until it is on the disk, 5 ms and more.
const spareDir = "spare"

// spareTimeout bounds the making of one.
const spareTimeout = 10 * time.Second

func sparePath(template string) string {
	return filepath.Join(filepath.Dir(template), spareDir, filepath.Base(template))
}

// takeSpare makes the spare the disk at path, if there is one.
func takeSpare(template, path string) bool {
	spare := sparePath(template)
	info, err := os.Lstat(spare)
	if err != nil {
		return false
	}
	// A file of two names would be the disk of two jails.
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink != 1 || !info.Mode().IsRegular() {
		_ = os.Remove(spare) // else it stays, and is not taken
		return false
	}
	return os.Rename(spare, path) == nil // another boot was faster, or it is another file system's
}

// makeSpare clones the template, whole or not at all, unless there is a spare.
// One at a time may be under way.
func makeSpare(ctx context.Context, template string) (err error) {
	path := sparePath(template)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp := path + tempSuffix
	if err := copySparse(ctx, template, temp); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	f, err := os.Open(temp)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return os.Rename(temp, path)
}

// Spare makes the next jail's disk ahead, if nobody is doing so. It is for a
// goroutine beside what boots; that it fails costs the next boot time, no more.
func (k *Keeper) Spare(ctx context.Context, m Made) error {
	if !k.sparing.TryLock() {
		return nil
	}
	defer k.sparing.Unlock()
	if k.closed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spareTimeout)
	defer cancel()
	return makeSpare(ctx, m.Image)
}

// Close ends the making of spares: the templates' directory is the caller's then.
func (k *Keeper) Close() {
	k.sparing.Lock()
	defer k.sparing.Unlock()
	k.closed = true
}
