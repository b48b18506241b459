package passwd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"emujail/jailsetup/wholefile"
)

// file is one of the four, as lines.
type file struct {
	path     string
	lines    []string
	mode     os.FileMode // of the file that exists, else the default
	uid, gid int
	old      string // the text that the file has
}

func readFile(path string, mode os.FileMode) (*file, error) {
	f := &file{path: path, mode: mode, uid: -1, gid: -1}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	f.mode = st.Mode().Perm()
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		f.uid, f.gid = int(sys.Uid), int(sys.Gid)
	}
	f.old = string(text)
	if s := strings.TrimSuffix(string(text), "\n"); s != "" {
		f.lines = strings.Split(s, "\n")
	}
	return f, nil
}

// find returns the index of the line whose first field is name, or -1.
func (f *file) find(name string) int {
	for i, l := range f.lines {
		if first, _, ok := strings.Cut(l, ":"); ok && first == name {
			return i
		}
	}
	return -1
}

func (f *file) set(name, line string) {
	i := f.find(name)
	if i < 0 {
		f.lines = append(f.lines, line)
		return
	}
	f.lines[i] = line
}

func (f *file) remove(name string) {
	if i := f.find(name); i >= 0 {
		f.lines = append(f.lines[:i], f.lines[i+1:]...)
	}
}

// write puts the lines in place of the file. The new text has the old one's
// mode and owner before it holds a byte: shadow is never readable by others.
func (f *file) write() (err error) {
	next := f.path + "+" // the name that shadow-utils uses; we hold the lock
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", f.path, err), os.Remove(next))
		}
	}()
	if f.uid >= 0 {
		err = w.Chown(f.uid, f.gid)
	}
	if err == nil {
		err = w.Chmod(f.mode)
	}
	if err == nil {
		_, err = w.WriteString(f.text())
	}
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err = os.Rename(next, f.path); err != nil {
		return err
	}
	f.old = f.text()
	return wholefile.SyncDir(filepath.Dir(f.path))
}

// changed says whether the lines are others than the file's.
func (f *file) changed() bool {
	return strings.TrimSuffix(f.text(), "\n") != strings.TrimSuffix(f.old, "\n")
}

func (f *file) text() string {
	if len(f.lines) == 0 {
		return ""
	}
	return strings.Join(f.lines, "\n") + "\n"
}
