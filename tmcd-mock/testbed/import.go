package testbed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Import writes db as YAML for people, from which Parse makes the same db
// again: projects, users, nodes and what else has a form of its own in that
// form, the rest as rows. About a column that holds its default nothing is
// said.
func Import(db *DB) ([]byte, error) {
	d := recognize(db)
	text, err := d.complete(db)
	if err == nil {
		return text, nil
	}
	// Something in these rows can't be said in words; then all are rows.
	plain := &doc{site: db.Site, files: db.files, faults: db.Faults, timeline: db.Timeline}
	text, err2 := plain.complete(db)
	if err2 != nil {
		return nil, fmt.Errorf("import testbed: %w", err2)
	}
	return append([]byte("# As plain rows only: "+strings.ReplaceAll(err.Error(), "\n", "; ")+"\n"), text...), nil
}

// complete adds to the document, as rows, whatever of db it doesn't say.
func (d *doc) complete(db *DB) ([]byte, error) {
	var b strings.Builder
	b.WriteString("# A testbed for tmcd-mock, made by `tmcd-mock import`.\n")
	if m := defaultsDiff(db); len(m) > 0 {
		b.WriteString("\ndefaults:\n")
		writeBlock(&b, m, 2)
	}
	d.emit(&b)
	said, err := Parse("import", []byte(b.String()))
	if err != nil {
		return nil, err
	}
	rows, tables := missing(said, db)
	for _, s := range []struct {
		key, comment string
		m            mapping
	}{{"rows", "Rows that have no form above; one with the key of a row that is there changes it.", rows},
		{"tables", "Tables with exactly these rows.", tables}} {
		if len(s.m) > 0 {
			b.WriteString("\n# " + s.comment + "\n" + s.key + ":\n")
			writeBlock(&b, s.m, 2)
		}
	}
	again, err := Parse("import", []byte(b.String()))
	if err != nil {
		return nil, err
	}
	if diff := Difference(again, db); diff != "" {
		return nil, fmt.Errorf("%s", diff)
	}
	return []byte(b.String()), nil
}

func defaultsDiff(db *DB) mapping {
	usual := schemaDefaults()
	names := map[string]bool{}
	for name := range usual {
		names[name] = true
	}
	for name := range db.defaults {
		names[name] = true
	}
	var m mapping
	for _, name := range slices.Sorted(maps.Keys(names)) {
		diff := Columns{}
		for col, v := range db.defaults[name] {
			if usual[name][col] != v {
				diff[col] = v
			}
		}
		for col := range usual[name] {
			if _, ok := db.defaults[name][col]; !ok {
				diff[col] = nil
			}
		}
		if len(diff) > 0 {
			m = append(m, pair{name, columnMapping(diff, nil)})
		}
	}
	return m
}

// missing compares table by table. A table of which the rows said are the
// first ones of db's, same keys in the same order, gets changes and additions;
// any other is given whole.
func missing(said, db *DB) (rows, tables mapping) {
	names := slices.Clone(db.order)
	for _, name := range said.order {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		var have, want []Columns
		if t := said.tables[name]; t != nil {
			have = t.rows
		}
		if t := db.tables[name]; t != nil {
			want = t.rows
		}
		patches, ok := patch(said, db, name, have, want)
		if !ok {
			whole := list{}
			for _, r := range want {
				whole = append(whole, columnMapping(db.trim(name, r), keys(name)))
			}
			tables = append(tables, pair{name, whole})
		} else if len(patches) > 0 {
			rows = append(rows, pair{name, patches})
		}
	}
	return rows, tables
}

func patch(said, db *DB, name string, have, want []Columns) (list, bool) {
	key := keys(name)
	if len(have) > len(want) || len(have) > 0 && key == nil {
		return nil, false
	}
	var out list
	seen := map[string]bool{}
	for i, w := range want {
		k, keyed := rowKey(w, key)
		if key != nil && keyed && seen[k] {
			return nil, false // two rows of one key: merging would join them
		}
		seen[k] = keyed
		if i >= len(have) {
			trimmed := db.trim(name, w)
			if len(trimmed) == 0 {
				return nil, false
			}
			maps.Copy(trimmed, keyColumns(w, key))
			out = append(out, columnMapping(trimmed, key))
			continue
		}
		if h, ok := rowKey(have[i], key); !ok || !keyed || h != k {
			return nil, false
		}
		diff := Columns{}
		for col := range union(have[i], w) {
			h, want := Row{have[i], said.defaults[name]}.Value(col), Row{w, db.defaults[name]}.Value(col)
			if h != want {
				diff[col] = want
			}
		}
		if len(diff) > 0 {
			maps.Copy(diff, keyColumns(w, key))
			out = append(out, columnMapping(diff, key))
		}
	}
	return out, true
}

func keyColumns(r Columns, key []string) Columns {
	c := Columns{}
	for _, col := range key {
		if v, ok := r[col]; ok {
			c[col] = v
		}
	}
	return c
}

func union(a, b Columns) map[string]bool {
	u := map[string]bool{}
	for k := range a {
		u[k] = true
	}
	for k := range b {
		u[k] = true
	}
	return u
}

// Difference says in which row two databases first differ, "" if nowhere. A
// column that is absent equals its default.
func Difference(a, b *DB) string {
	names := map[string]bool{}
	for _, db := range []*DB{a, b} {
		for name := range db.tables {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a.Len(name) != b.Len(name) {
			return fmt.Sprintf("table %s has %d rows, not %d", name, a.Len(name), b.Len(name))
		}
		for i := range a.Len(name) {
			x, y := Row{a.tables[name].rows[i], a.defaults[name]}, Row{b.tables[name].rows[i], b.defaults[name]}
			for col := range union(x.columns, y.columns) {
				if x.Value(col) != y.Value(col) {
					return fmt.Sprintf("table %s, row %d: %s is %#v, not %#v", name, i+1, col, x.Value(col), y.Value(col))
				}
			}
		}
	}
	switch {
	case !maps.EqualFunc(a.files, b.files, func(x, y []byte) bool { return string(x) == string(y) }):
		return "files differ"
	case !maps.EqualFunc(a.Site.toJSON(), b.Site.toJSON(), sameSetting):
		return "site differs"
	case !maps.EqualFunc(a.defaults, b.defaults, func(x, y Columns) bool { return maps.Equal(x, y) }):
		return "defaults differ"
	}
	return ""
}

func sameSetting(x, y any) bool {
	a, ok := x.(Columns)
	b, ok2 := y.(Columns)
	if ok && ok2 {
		return maps.Equal(a, b)
	}
	return !ok && !ok2 && x == y
}
