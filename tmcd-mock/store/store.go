// Package store keeps what nodes told tmcd: the last report of each kind from each node, and a
// journal of everything that happened.
//
//	s := store.New()                    // in memory
//	s, err := store.Open("reports.db")  // on disk: survives a restart and a kill -9
//	s.Put(store.Report{Time: now, Node: "pcvm1-1", Kind: "bootlog", Text: "…"})
//	s.Reports("pcvm1-1")["bootlog"].Text
//
// A Report is what a node said, byte for byte; Text says how such bytes travel in JSON. The kinds
// are the commands that report: state, bootlog, booterrno, startstatus, hostkeys and so on
// (protocol.md §7). Its memory is bounded by nodes times kinds times the length of a request.
//
// The Journal lies beside it, in memory only: the last requests with who asked, how, and why it was
// refused. It is what `tmcd-mock log` shows and `tmcd-mock expect` judges by. Neither holds keys:
// the server puts no request's arguments there.
//
// Nothing here knows the testbed: a node that was renamed keeps its old reports until Forget.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Report is one thing that a node said. A later one of the same kind replaces it.
type Report struct {
	Time time.Time `json:"time"`
	Node string    `json:"node"`
	Kind string    `json:"kind"`
	Text Text      `json:"text"`
}

// Store keeps reports. All methods may be called at once by many goroutines.
type Store struct {
	mu      sync.RWMutex
	reports map[string]map[string]Report // node → kind
	db      *bolt.DB                     // nil: in memory
}

// New returns an empty store in memory.
func New() *Store { return &Store{reports: map[string]map[string]Report{}} }

// openTimeout is how long Open waits for another process to let go of the file.
const openTimeout = time.Second

const bucket = "reports"

// Open returns the store in a file of its own, which it makes with mode 0600 if it isn't there.
// A file that another process has open is an error.
func Open(path string) (*Store, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open store %s: not a regular file", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: openTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open store %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	s := New()
	s.db = db
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return s, nil
}

func (s *Store) load() error {
	return s.db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.ForEach(func(_, value []byte) error {
			var r Report
			if err := json.Unmarshal(value, &r); err != nil {
				return err
			}
			s.keep(r)
			return nil
		})
	})
}

func (s *Store) keep(r Report) {
	if s.reports[r.Node] == nil {
		s.reports[r.Node] = map[string]Report{}
	}
	s.reports[r.Node][r.Kind] = r
}

// Put keeps reports. When it returns without error they are on disk, if the store is.
func (s *Store) Put(reports ...Report) error {
	s.mu.Lock()
	for _, r := range reports {
		s.keep(r)
	}
	s.mu.Unlock()
	if s.db == nil || len(reports) == 0 {
		return nil
	}
	// Batch: many at once share one fsync. What is written is what is known by
	// then: others may have reported, or been forgotten, in between.
	return s.db.Batch(func(tx *bolt.Tx) error {
		for _, r := range reports {
			if err := s.write(tx.Bucket([]byte(bucket)), r.Node, r.Kind); err != nil {
				return err
			}
		}
		return nil
	})
}

// write puts on disk what is known of a kind.
func (s *Store) write(b *bolt.Bucket, node, kind string) error {
	s.mu.RLock()
	r, ok := s.reports[node][kind]
	s.mu.RUnlock()
	if !ok {
		return b.Delete(key(node, kind))
	}
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.Put(key(node, kind), value)
}

// key: node ids and kinds hold no NUL.
func key(node, kind string) []byte { return []byte(node + "\x00" + kind) }

// Reports returns a copy of what node said last, by kind.
func (s *Store) Reports(node string) map[string]Report {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.reports[node])
}

// Nodes returns a copy of all reports, by node and kind.
func (s *Store) Nodes() map[string]map[string]Report {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]map[string]Report, len(s.reports))
	for node, kinds := range s.reports {
		all[node] = maps.Clone(kinds)
	}
	return all
}

// Forget drops what node said; an empty name drops all.
func (s *Store) Forget(node string) error {
	var gone [][2]string // node and kind
	s.mu.Lock()
	for n, kinds := range s.reports {
		if node != "" && n != node {
			continue
		}
		for kind := range kinds {
			gone = append(gone, [2]string{n, kind})
		}
		delete(s.reports, n)
	}
	s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, k := range gone {
			if err := s.write(tx.Bucket([]byte(bucket)), k[0], k[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the file.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}
