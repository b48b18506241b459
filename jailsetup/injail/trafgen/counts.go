package trafgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// counts are what a flow has done since it began.
type counts struct {
	sentPackets, sentBytes         int64
	receivedPackets, receivedBytes int64
	lost, reordered, duplicates    int64
	errors                         int64
	jitter                         float64 // ns, of the last packet
}

// meter is counts that one goroutine writes and another reads.
type meter struct {
	mu sync.Mutex
	c  counts
}

func (m *meter) change(f func(*counts)) {
	m.mu.Lock()
	f(&m.c)
	m.mu.Unlock()
}

func (m *meter) read() counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c
}

// Numbers are counts as they are printed.
type Numbers struct {
	SentPackets     int64 `json:"sent_packets"`
	SentBytes       int64 `json:"sent_bytes"`
	ReceivedPackets int64 `json:"received_packets"`
	ReceivedBytes   int64 `json:"received_bytes"`
	Lost            int64 `json:"lost"` // within one second below 0 when late packets make up for it
	Reordered       int64 `json:"reordered"`
	Duplicates      int64 `json:"duplicates"`
	Errors          int64 `json:"errors"`
}

// Line is one record of a flow's log: what happened in a second, and in all.
type Line struct {
	Time     time.Time `json:"time"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	State    string    `json:"state"`
	Seconds  float64   `json:"seconds"` // that the numbers are of
	Numbers            // of these seconds
	JitterUS float64   `json:"jitter_us"`
	Total    Numbers   `json:"total"`
}

func numbers(c counts) Numbers {
	return Numbers{c.sentPackets, c.sentBytes, c.receivedPackets, c.receivedBytes,
		c.lost, c.reordered, c.duplicates, c.errors}
}

func (n Numbers) minus(o Numbers) Numbers {
	return Numbers{
		n.SentPackets - o.SentPackets, n.SentBytes - o.SentBytes,
		n.ReceivedPackets - o.ReceivedPackets, n.ReceivedBytes - o.ReceivedBytes,
		n.Lost - o.Lost, n.Reordered - o.Reordered, n.Duplicates - o.Duplicates, n.Errors - o.Errors,
	}
}

// maxLog is the size at which a log is renamed to NAME.json.1, over the one
// that was there: a flow's logs take twice that at most.
const maxLog = 8 << 20

// reporter writes a flow's lines: one a second while something happens or the
// state changes, none while the flow is quiet.
type reporter struct {
	path string // empty: no log
	name string
	role string

	file  *os.File
	size  int64
	last  Numbers
	state State
	at    time.Time
}

// report appends a line if there is something to say.
func (r *reporter) report(now time.Time, s State, c counts) error {
	total := numbers(c)
	since := r.at
	r.at = now
	if total == r.last && s == r.state {
		return nil
	}
	line := Line{Time: now, Name: r.name, Role: r.role, State: s.String(), Seconds: now.Sub(since).Seconds(),
		Numbers: total.minus(r.last), JitterUS: c.jitter / 1000, Total: total}
	r.last, r.state = total, s
	if r.path == "" {
		return nil
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return r.write(append(text, '\n'))
}

func (r *reporter) write(text []byte) error {
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	n, err := r.file.Write(text)
	r.size += int64(n)
	if err == nil && r.size < maxLog {
		return nil
	}
	if err != nil {
		return errors.Join(fmt.Errorf("log of %s: %w", r.name, err), r.close())
	}
	return errors.Join(r.close(), os.Rename(r.path, r.path+".1"))
}

// open goes on with the file that is there. O_NOFOLLOW: users may write in
// /local/logs.
func (r *reporter) open() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|oNoFollow, 0o644)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "log to", Path: r.path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, st.Size()
	return nil
}

func (r *reporter) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
