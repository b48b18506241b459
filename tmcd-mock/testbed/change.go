package testbed

import (
	"maps"
	"slices"
)

// Change is one write to the database, as a value: what a command did to the
// state of the testbed (docs/spec/protocol.md §7).
type Change struct {
	Table string
	Op    Op
	// Where selects rows: each named column equals the text given.
	Where map[string]string
	// Set holds the new values.
	Set Columns
}

// Op is what a Change does.
type Op int

const (
	Update  Op = iota // set columns of the rows that match; none: no effect
	Upsert            // the same, and when none matches insert Where and Set as a row
	Delete            // drop the rows that match
	Decline           // lower the columns named in Set by one, but not below 0
)

func (db *DB) apply(c Change) {
	hits := db.find(c.Table, c.Where)
	switch {
	case len(hits) > 0:
		db.change(c, hits)
	case c.Op == Upsert:
		row := Columns{}
		for k, v := range c.Where {
			row[k] = v
		}
		maps.Copy(row, c.Set)
		db.insert(c.Table, row)
		t := db.tables[c.Table]
		if t.index == nil || lookups(c.Table) != nil {
			t.reindex(c.Table)
		} else {
			t.addToIndex(len(t.rows) - 1)
		}
	}
}

// change writes to the rows at hits, which are in ascending order.
func (db *DB) change(c Change, hits []int) {
	t := db.tables[c.Table]
	if c.Op == Delete {
		for _, i := range slices.Backward(hits) {
			t.rows = slices.Delete(t.rows, i, i+1)
		}
		t.reindex(c.Table)
		return
	}
	for _, i := range hits {
		row := Row{t.rows[i], db.defaults[c.Table]}
		n := maps.Clone(t.rows[i])
		if c.Op == Decline {
			for col := range c.Set {
				if v := row.Int(col); v > 0 {
					n[col] = int64(v - 1)
				}
			}
		} else {
			maps.Copy(n, c.Set)
		}
		t.rows[i] = n
	}
	for col := range c.Set {
		if t.index[col] != nil || ordered(c.Table, col) {
			t.reindex(c.Table)
			return
		}
	}
}

// find gives the places of the rows that match, by an index where one helps.
func (db *DB) find(name string, where map[string]string) []int {
	t := db.tables[name]
	if t == nil {
		return nil
	}
	candidates, all := []int(nil), true
	for col, v := range where {
		if ix := t.index[col]; ix != nil {
			candidates, all = ix[foldText(v)], false
			break
		}
	}
	if all {
		candidates = make([]int, len(t.rows))
		for i := range candidates {
			candidates[i] = i
		}
	}
	var hits []int
	for _, i := range candidates {
		if (Row{t.rows[i], db.defaults[name]}).Matches(where) {
			hits = append(hits, i)
		}
	}
	slices.Sort(hits)
	return hits
}
