package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copySparse copies the data of a file and leaves its holes holes: a reflink
// where the file system has it, else 0.7 ms for 1.5 MiB in 512 (spec/linux.md §3.1).
func copySparse(ctx context.Context, from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return nil
	}
	if err := dst.Truncate(info.Size()); err != nil {
		return fmt.Errorf("size %s: %w", to, err)
	}
	for at := int64(0); ctx.Err() == nil; {
		start, err := src.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // holes to the end
		}
		if err != nil {
			return fmt.Errorf("find data in %s: %w", from, err)
		}
		if at, err = src.Seek(start, unix.SEEK_HOLE); err != nil {
			return fmt.Errorf("find a hole in %s: %w", from, err)
		}
		if err := copyRange(src, dst, start, at-start); err != nil {
			return fmt.Errorf("copy %s to %s: %w", from, to, err)
		}
	}
	return context.Cause(ctx)
}

func copyRange(src, dst *os.File, at, n int64) error {
	if _, err := dst.Seek(at, io.SeekStart); err != nil {
		return err
	}
	if _, err := src.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(dst, src, n)
	return err
}
