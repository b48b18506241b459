package plan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Limits of a log, its lines with their ends: a longer one was not written by us.
// What couldn't be read again is not recorded, so its deed isn't done: a jail
// whose log can't be read could never be taken down.
const (
	maxLogBytes  = 4 << 20
	maxLineBytes = 64 << 10
	maxUndoBytes = maxLogBytes / 2 // of deeds; to take each back is a shorter line
)

// Log is a file of undo records, one JSON object a line: `{"undo":{…}}` for a
// deed that is about to be done, `{"undone":N}` once record N (counted from
// zero) has been taken back. Only one process may write it at a time; the lock
// is the jail's, in package jail.
type Log struct {
	path    string
	size    int // of the file
	entries []Undo
	undone  map[int]bool
}

type logLine struct {
	Undo   *Undo `json:"undo,omitempty"`
	Undone *int  `json:"undone,omitempty"`
}

// OpenLog reads the log at path. A file that isn't there is an empty log; it
// is made by the first [Log.Append]. A last line cut by a crash is dropped: its
// deed was not begun.
func OpenLog(path string) (*Log, error) {
	l := &Log{path: path, undone: map[int]bool{}}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxLogBytes {
		return nil, fmt.Errorf("undo log %s: %d bytes, more than %d: not ours", path, info.Size(), maxLogBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := l.parse(data); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) parse(data []byte) error {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end < len(data) {
		if err := os.Truncate(l.path, int64(end)); err != nil {
			return fmt.Errorf("cut unfinished line of undo log: %w", err)
		}
	}
	l.size = end
	sc := bufio.NewScanner(bytes.NewReader(data[:end]))
	sc.Buffer(nil, maxLineBytes)
	for n := 1; sc.Scan(); n++ {
		var line logLine
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			return fmt.Errorf("undo log %s:%d: %w", l.path, n, err)
		}
		switch {
		case line.Undo != nil:
			l.entries = append(l.entries, *line.Undo)
		case line.Undone != nil:
			l.undone[*line.Undone] = true
		}
	}
	return sc.Err()
}

// Append writes the record of a deed that is about to be done. One too long to be
// read again is an error.
func (l *Log) Append(u Undo) error {
	line, err := render(logLine{Undo: &u})
	switch {
	case err != nil:
	case len(line) > maxLineBytes:
		err = fmt.Errorf("it takes %d bytes, at most %d can be read again", len(line), maxLineBytes)
	case l.size+len(line) > maxUndoBytes:
		err = fmt.Errorf("with it the log has %d bytes, at most %d can be read again", l.size+len(line), maxUndoBytes)
	default:
		err = l.write(line)
	}
	if err != nil {
		return fmt.Errorf("record undo %s: %w", u.Kind, err)
	}
	l.entries = append(l.entries, u)
	return nil
}

func render(line logLine) ([]byte, error) {
	data, err := json.Marshal(line)
	return append(data, '\n'), err
}

func (l *Log) write(line []byte) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	n, err := f.Write(line)
	if err == nil {
		l.size += n
	}
	if err != nil && n > 0 { // half a line would spoil the next one
		if end, statErr := f.Seek(0, io.SeekEnd); statErr == nil {
			err = errors.Join(err, f.Truncate(end-int64(n)))
		}
	}
	return errors.Join(err, f.Close())
}

// Pending is what has not been taken back, in the order of the deeds.
func (l *Log) Pending() []Undo {
	var left []Undo
	for i, u := range l.entries {
		if !l.undone[i] {
			left = append(left, u)
		}
	}
	return left
}

// Deeds maps an undo's kind to what it does. A deed must bear that there is
// nothing left to undo.
type Deeds map[string]func(ctx context.Context, data json.RawMessage) error

// Unwind takes back what is pending, last deed first, and removes the log when
// nothing is left. It stops at the first failure, since what was built first
// carries what was built later: nothing below a step that could not be undone
// is touched, and the next Unwind goes on there.
func (l *Log) Unwind(ctx context.Context, deeds Deeds) error {
	for i := len(l.entries) - 1; i >= 0; i-- {
		if l.undone[i] {
			continue
		}
		u := l.entries[i]
		deed, ok := deeds[u.Kind]
		if !ok {
			return fmt.Errorf("undo %s: kind unknown to this version", u.Kind)
		}
		if err := deed(ctx, u.Data); err != nil {
			return fmt.Errorf("undo %s: %w", u.Kind, err)
		}
		mark, err := render(logLine{Undone: &i})
		if err == nil {
			err = l.write(mark)
		}
		// On a full disk the mark is left out: deeds bear to be done twice.
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("record undone %s: %w", u.Kind, err)
		}
		l.undone[i] = true
	}
	return l.remove()
}

func (l *Log) remove() error {
	l.size, l.entries, l.undone = 0, nil, map[int]bool{}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
