// Package tail reads logs, once or as they grow, where whoever writes them
// may have put anything in their place.
//
//	t := tail.Reader{Paths: []string{"/var/log/console.log", "/var/emulab/logs"}, Lines: 100, Out: os.Stdout}
//	err := t.Run(ctx)
//
// It runs inside a jail ("injail cat", for "jailsetup logs"), so that no path
// that jail root controls is ever opened by the host (peers.md T45). Of a
// directory it reads the plain files. A file is opened without following a
// link and without waiting: a link, a fifo, a device or a socket is named and
// passed over, it neither leads elsewhere nor holds the reader up.
//
// What it writes is the files' bytes as they are. To make them fit to be seen
// is for whoever shows them, outside.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what is read.
const (
	maxFiles   = 256     // of one directory
	maxBack    = 1 << 20 // bytes from the end in which lines are counted
	pollPause  = 200 * time.Millisecond
	chunkBytes = 32 << 10
)

// Reader says what to read and where to. The zero value of all but Paths and
// Out is fit for use.
type Reader struct {
	// Paths are files, or directories whose plain files are read. One that
	// isn't there is passed over.
	Paths []string
	// Lines is how many lines of each file's end come first, at most what 1 MiB
	// holds; 0: the whole file.
	Lines int
	// Follow goes on with what is added, and with files that come, until the
	// context ends.
	Follow bool
	// Out gets the bytes; a line "==> PATH <==" before those of another file
	// than the last, if there can be more than one.
	Out io.Writer
	// Report hears what was passed over, and why; nil: nobody does.
	Report func(error)

	open   map[string]*file
	passed map[string]string // by path: what was reported
	last   string            // whose bytes came last
}

// ErrNothing says that none of the paths led to a file.
var ErrNothing = errors.New("no such log")

// file is one that has been opened; offset is what was read of it.
type file struct {
	*os.File
	offset int64
}

// Run reads until all is said, or with Follow until ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	r.open, r.passed = map[string]*file{}, map[string]string{}
	defer func() {
		for _, f := range r.open {
			f.Close()
		}
	}()
	for first := true; ; first = false {
		for _, path := range r.list() {
			if err := r.read(path, first); err != nil {
				return err
			}
		}
		if !r.Follow {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollPause):
		}
	}
	if len(r.open) == 0 {
		return fmt.Errorf("%w: %s", ErrNothing, strings.Join(r.Paths, ", "))
	}
	return nil
}

// list is every file that the paths lead to at this moment.
func (r *Reader) list() []string {
	var all []string
	for _, path := range r.Paths {
		st, err := os.Lstat(path)
		if err != nil || !st.IsDir() {
			all = append(all, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			r.passOver(path, err)
		}
		for _, e := range entries[:min(len(entries), maxFiles)] {
			if !e.IsDir() {
				all = append(all, filepath.Join(path, e.Name()))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// read says what is new in the file. Only a failure to write is an error: of
// the file anything may be wrong.
func (r *Reader) read(path string, first bool) error {
	f := r.open[path]
	if f != nil && r.replaced(path, f) {
		f.Close()
		f = nil
	}
	if f == nil {
		delete(r.open, path)
		var err error
		if f, err = open(path); err != nil {
			r.passOver(path, err)
			return nil
		}
		r.open[path] = f
		if first {
			f.offset = r.start(f)
		}
	}
	return r.copy(path, f)
}

// replaced tells whether another file is at path now, or the file was cut.
func (r *Reader) replaced(path string, f *file) bool {
	now, err1 := os.Lstat(path)
	was, err2 := f.Stat()
	if err1 != nil || err2 != nil {
		return err2 != nil // gone: what is open may grow yet
	}
	return !os.SameFile(now, was) || was.Size() < f.offset
}

func open(path string) (*file, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("is a link")
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("is no plain file")
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &file{File: os.NewFile(uintptr(fd), path)}, nil
}

// passOver reports a path once for each reason.
func (r *Reader) passOver(path string, err error) {
	if errors.Is(err, fs.ErrNotExist) || r.passed[path] == err.Error() {
		return
	}
	r.passed[path] = err.Error()
	if r.Report != nil {
		r.Report(fmt.Errorf("%s: %w", path, err))
	}
}

// start is where the last Lines lines begin.
func (r *Reader) start(f *file) int64 {
	st, err := f.Stat()
	if err != nil || r.Lines <= 0 {
		return 0
	}
	from := max(0, st.Size()-maxBack)
	tail := make([]byte, st.Size()-from)
	n, _ := f.ReadAt(tail, from)
	tail = tail[:n]
	at := len(strings.TrimSuffix(string(tail), "\n"))
	for range r.Lines {
		if at = strings.LastIndexByte(string(tail[:at]), '\n'); at < 0 {
			return from
		}
	}
	return from + int64(at) + 1
}

// copy writes from the offset to the end that the file has now.
func (r *Reader) copy(path string, f *file) error {
	st, err := f.Stat()
	if err != nil || st.Size() <= f.offset {
		return nil
	}
	if err := r.head(path); err != nil {
		return err
	}
	buf := make([]byte, chunkBytes)
	for end := st.Size(); f.offset < end; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-f.offset)], f.offset)
		f.offset += int64(n)
		if _, err := r.Out.Write(buf[:n]); err != nil {
			return err
		}
		if err != nil || n == 0 {
			return nil // it was cut
		}
	}
	return nil
}

func (r *Reader) head(path string) error {
	if r.last == path || len(r.Paths) == 1 && r.Paths[0] == path {
		return nil
	}
	gap := "\n"
	if r.last == "" {
		gap = ""
	}
	r.last = path
	_, err := fmt.Fprintf(r.Out, "%s==> %s <==\n", gap, path)
	return err
}
