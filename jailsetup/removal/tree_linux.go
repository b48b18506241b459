package removal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Bounds of a tree; ours have some thousands of entries, six deep.
const (
	maxDepth   = 64
	maxEntries = 1 << 20
	batch      = 256 // names that are held at once
)

// Tree removes what is at path: a directory with all in it, or a file, or a link,
// of which only the link goes. The names in last, directly in the directory, go
// after everything else, in their order: a record that has the rest found again
// after a crash. That nothing is there is success.
//
// If something is mounted at or below path it removes nothing, see [Unmounted].
func Tree(path string, last ...string) error {
	if err := Unmounted(path); err != nil {
		return err
	}
	parent, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	w := walk{left: maxEntries}
	return w.remove(parent, filepath.Base(path), 0, last)
}

// walk is one removal of a tree.
type walk struct{ left int } // entries that it may still remove

// remove removes what has the name in parent.
func (w *walk) remove(parent *os.File, name string, depth int, last []string) error {
	path := filepath.Join(parent.Name(), name)
	if w.left--; w.left < 0 {
		return fmt.Errorf("remove %s: the tree has more than %d entries", path, maxEntries)
	}
	err := unlink(parent, name, 0)
	if !errors.Is(err, unix.EISDIR) {
		return err
	}
	if depth == maxDepth {
		return fmt.Errorf("remove %s: the tree is deeper than %d directories", path, maxDepth)
	}
	dir, err := openBelow(parent, name)
	if err != nil {
		return err
	}
	err = w.empty(dir, depth, last)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	return unlink(parent, name, unix.AT_REMOVEDIR)
}

// empty removes what is in dir. Each turn reads it anew: the kernel promises
// nothing of a directory that changes while it is read.
func (w *walk) empty(dir *os.File, depth int, last []string) error {
	for {
		names, err := someNames(dir, last)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			break
		}
		for _, name := range names {
			if err := w.remove(dir, name, depth+1, nil); err != nil {
				return err
			}
		}
	}
	for _, name := range last {
		if err := w.remove(dir, name, depth+1, nil); err != nil {
			return err
		}
	}
	return nil
}

// someNames are up to [batch] names in dir that aren't in but.
func someNames(dir *os.File, but []string) ([]string, error) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	for {
		names, err := dir.Readdirnames(batch)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(but, name) })
		if len(names) > 0 {
			return names, nil
		}
	}
}

// openBelow opens the directory of that name in parent, and fails if it is a link
// or another mount by now.
func openBelow(parent *os.File, name string) (*os.File, error) {
	path := filepath.Join(parent.Name(), name)
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(int(parent.Fd()), name, &how)
	if err != nil {
		return nil, surprise("openat2", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// unlink removes one name; that there is none is success.
func unlink(parent *os.File, name string, flags int) error {
	err := unix.Unlinkat(int(parent.Fd()), name, flags)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return surprise("unlinkat", filepath.Join(parent.Name(), name), err)
}

// surprise is the error of a call that met a mount, or something else.
func surprise(call, path string, err error) error {
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EBUSY) {
		return &UseError{Path: path, Use: "a file system is mounted there", Remedy: "umount " + path}
	}
	return &fs.PathError{Op: call, Path: path, Err: err}
}
