// Package testbed holds what an Emulab database holds: rows in tables, site
// variables, files, and the names that are compiled into a site.
//
//	tb, err := testbed.Load("demo.yaml")       // or a .json of plain rows
//	tb.Read(func(db *testbed.DB) {
//		node := db.First("nodes", "node_id", "pc1")
//		fmt.Println(node.Text("phys_nodeid"))
//	})
//	tb.Apply([]testbed.Change{…})              // what a request changed
//
// A person writes YAML (doc.go names every key); [Parse] expands it into rows,
// checks it, and reports each mistake as "file:line: what was expected".
// Whatever has no form of its own is given as rows. [Import] turns rows into
// that YAML, [DB.Export] turns it back; nothing is lost on the way.
//
// Locking: a [Testbed] has one read-write lock. Readers see one state during
// [Testbed.Read]; changes are values, applied together by [Testbed.Apply].
// A [DB] by itself has no lock and may be shared only while nobody writes.
//
// The package trusts the file's author and nobody else: it never acts on what
// it reads. Names of tables and columns: vectors/README.md; their meaning:
// docs/spec/protocol.md §3-§7.
package testbed

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"sync"
)

//go:embed builtin.yaml
var builtin []byte

// Testbed is a database that many ask at once.
type Testbed struct {
	mu sync.RWMutex
	db *DB
}

// New wraps a database; the caller must not use db directly any more.
func New(db *DB) *Testbed { return &Testbed{db: db} }

// Load reads a testbed file: YAML as people write it, or JSON rows as
// testbed.json has them (told apart by the first character, '{').
// Every mistake found is in the error, a line each: "file:line: …".
func Load(path string) (*Testbed, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read testbed: %w", err)
	}
	db, err := Decode(path, b)
	if err != nil {
		return nil, err
	}
	return New(db), nil
}

// Decode parses the bytes of a testbed file; name is for messages.
func Decode(name string, b []byte) (*DB, error) {
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		return DecodeJSON(name, b)
	}
	return Parse(name, b)
}

// Builtin is the testbed that is used when no file is given: host pc1 at
// 127.0.0.1 with two jails, pcvm1-1 and pcvm1-2, of experiment jails/demo.
func Builtin() (*Testbed, error) {
	db, err := Parse("(built in)", builtin)
	if err != nil {
		return nil, err
	}
	return New(db), nil
}

// BuiltinYAML is the text of the built-in testbed, a file to start from.
func BuiltinYAML() []byte { return bytes.Clone(builtin) }

// Read calls f with the database; nothing changes while f runs. f must not
// keep db, nor call Apply or Replace.
func (t *Testbed) Read(f func(db *DB)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	f(t.db)
}

// Apply makes changes, all of them before the next reader.
func (t *Testbed) Apply(changes []Change) {
	if len(changes) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		t.db.apply(c)
	}
}

// Replace puts another database in the place of this one, as when the file
// was read again. The caller gives db away.
func (t *Testbed) Replace(db *DB) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.db = db
}

// Snapshot is a copy that nobody else changes.
func (t *Testbed) Snapshot() *DB {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.db.Clone()
}
