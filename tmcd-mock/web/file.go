package web

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// openBelow opens the regular file at name below root. No component may be a link: each directory is looked
// at, opened, and compared with what was looked at, so that nothing can be put in its place in between.
func openBelow(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	name = strings.TrimLeft(name, "/")
	if !fs.ValidPath(name) || name == "." || name != path.Clean(name) {
		return nil, nil, errors.New("not a plain path")
	}
	dir, err := root.OpenRoot(".")
	if err != nil {
		return nil, nil, err
	}
	defer func() { dir.Close() }()
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		next, err := enter(dir, part)
		if err != nil {
			return nil, nil, err
		}
		dir.Close()
		dir = next
	}
	return openFile(dir, parts[len(parts)-1])
}

func enter(dir *os.Root, name string) (*os.Root, error) {
	seen, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		return nil, fmt.Errorf("%s: not a directory", name)
	}
	next, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	got, err := next.Stat(".")
	if err == nil && !os.SameFile(seen, got) {
		err = fmt.Errorf("%s: changed while it was opened", name)
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// openFile doesn't wait for a fifo's writer (O_NONBLOCK), and opens no link.
func openFile(dir *os.Root, name string) (*os.File, fs.FileInfo, error) {
	seen, err := dir.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	got, err := f.Stat()
	if err == nil && !(got.Mode().IsRegular() && os.SameFile(seen, got)) {
		err = fmt.Errorf("%s: changed while it was opened", name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, got, nil
}
