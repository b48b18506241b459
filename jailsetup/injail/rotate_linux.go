package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
)

// rotation is how log files are kept from growing.
type rotation struct {
	size int64 // rotate from this many bytes on
	keep int   // how many old ones: FILE.0, the newest, to FILE.<keep-1>
}

// rotateMain is "injail logrotate", run by cron each hour (spec/jail.md §3.2).
func rotateMain(args []string) int {
	fs := flag.NewFlagSet("injail logrotate", flag.ContinueOnError)
	var r rotation
	fs.Int64Var(&r.size, "size", 100<<10, "rotate a file from this many `bytes` on")
	fs.IntVar(&r.keep, "keep", 3, "keep this `many` old files of each")
	fs.SetOutput(io.Discard) // help that was asked for goes elsewhere than errors
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(os.Stdout)
		fs.Usage()
		return exitOK
	} else if err != nil {
		return usageError(os.Stderr, "logrotate: "+err.Error())
	}
	if r.keep < 1 || r.keep > 100 {
		return usageError(os.Stderr, "logrotate: -keep wants a number from 1 to 100")
	}
	code := exitOK
	for _, path := range fs.Args() {
		if err := r.rotate(path); err != nil {
			fmt.Fprintln(os.Stderr, "injail logrotate:", err)
			code = exitFailed
		}
	}
	return code
}

// rotate copies the file to FILE.0 and empties it. Renaming would be cheaper,
// but those who write, /etc/rc's children among them, have it open for good. A
// line that is written between copy and cut is lost. Files that aren't there,
// aren't plain or are small are left alone.
func (r rotation) rotate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() < r.size {
		return err
	}
	if err := r.copyOut(f, path, st.Mode().Perm()); err != nil {
		return err
	}
	return f.Truncate(0)
}

// copyOut writes the copy before it moves the older ones up, so that a full
// disk costs nothing that was there.
func (r rotation) copyOut(f *os.File, path string, mode os.FileMode) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", path, err), os.Remove(next))
	}
	for n := r.keep - 1; n > 0; n-- {
		older, old := fmt.Sprintf("%s.%d", path, n), fmt.Sprintf("%s.%d", path, n-1)
		if err := os.Rename(old, older); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(next, path+".0")
}
