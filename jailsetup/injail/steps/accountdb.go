package steps

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// What we made, and only that: login to uid:serial, group to gid. A text file
// of lines "name number:serial"; pending stands for the serial of what was
// about to be made or changed, so that a crash in between is no secret.
const (
	passDB  = dbDir + "/passdb"
	groupDB = dbDir + "/groupdb"

	pendingWord = "pending"
)

type record struct {
	id      int
	serial  int64
	pending bool
}

type records map[string]record

func (rs records) names() []string { return slices.Sorted(maps.Keys(rs)) }

func loadRecords(path string) (records, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	rs := records{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, serial, _ := strings.Cut(value, ":")
		n, err := strconv.Atoi(id)
		if name == "" || err != nil {
			return nil, fmt.Errorf("%s: %q: want NAME NUMBER:SERIAL", path, line)
		}
		rec := record{id: n}
		if rec.serial, err = strconv.ParseInt(serial, 10, 64); err != nil {
			rec.pending = true
		}
		rs[name] = rec
	}
	return rs, nil
}

func (r *Run) saveRecords(path string, rs records) error {
	var b []byte
	for _, name := range rs.names() {
		rec := rs[name]
		if rec.pending {
			b = fmt.Appendf(b, "%s %d:%s\n", name, rec.id, pendingWord)
		} else {
			b = fmt.Appendf(b, "%s %d:%d\n", name, rec.id, rec.serial)
		}
	}
	if len(b) == 0 {
		if _, err := os.Lstat(r.path(path)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	_, err := r.put(path, b, 0o600, true)
	return err
}
