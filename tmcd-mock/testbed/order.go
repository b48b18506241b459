package testbed

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// lookup is a way to find rows: by a column that begins a key of the table, or
// by an experiment's eid, which stands there for pid and eid. Emulab's database
// walks the key where that is cheap, and then the rows come in the order of the
// columns that follow in it, not as they were inserted; so it stands in replies.
type lookup struct {
	column string
	then   []string // what follows in the key
	given  int      // so many of them are given, too, by whoever looks
	covers bool     // all that tmcd reads is in the key, so it is always walked
}

// lookups are the ways that tmcd goes by keys that don't end with what is given.
func lookups(table string) []lookup {
	switch table {
	case "partitions":
		return []lookup{{column: "node_id", then: []string{"partition"}}}
	case "blockstore_type_attributes":
		return []lookup{{column: "type", then: []string{"attrkey"}}}
	case "blockstore_attributes":
		return []lookup{{column: "bsidx", then: []string{"attrkey"}}}
	case "reserved":
		return []lookup{{column: "exptidx", then: []string{"vname"}}, {column: "eid", then: []string{"vname"}}}
	case "firewalls":
		return []lookup{{column: "eid", then: []string{"fwname"}}}
	case "virt_node_attributes", "virt_blockstore_attributes":
		return []lookup{{column: "exptidx", then: []string{"vname", "attrkey"}, given: 1}}
	case "virt_node_disks":
		return []lookup{{column: "exptidx", then: []string{"vname", "diskname"}, given: 1}}
	case "virt_tiptunnels":
		then := []string{"host", "vnode"}
		return []lookup{{column: "exptidx", then: then, given: 1, covers: true}, {column: "eid", then: then, given: 1, covers: true}}
	case "virt_node_motelog":
		return []lookup{{column: "eid", then: []string{"vname", "logfileid"}, given: 1, covers: true}}
	case "virt_blockstores", "reserved_blockstores":
		return []lookup{{column: "exptidx", then: []string{"vname"}}}
	case "blockstores":
		return []lookup{{column: "node_id", then: []string{"bs_id"}}}
	case "subbosses":
		return []lookup{{column: "node_id", then: []string{"service"}}}
	case "traces":
		return []lookup{{column: "node_id", then: []string{"idx"}}}
	case "delays":
		return []lookup{{column: "node_id", then: []string{"iface0", "iface1", "vlan0", "vlan1", "vnode0", "vnode1"}}}
	}
	return nil
}

// walksKey reports whether finding so many of a table's rows is cheaper by the
// key than by reading all. Measured with MariaDB 10.11 and MyISAM tables of one
// block, some dozens of rows: 1.2 a row by the key, 0.2 a row otherwise, and 3.9
// for opening the file. Of larger tables nothing is known.
func walksKey(found, all int) bool { return 6*found <= all+19 }

// WalksRanges is the same for several ranges of a key, of which an empty one
// counts as a row.
func WalksRanges(found, all int) bool { return 6*found <= all+18 }

// ordered reports whether a column decides the order of rows that are looked up.
func ordered(table, column string) bool {
	return slices.ContainsFunc(lookups(table), func(l lookup) bool { return slices.Contains(l.then, column) })
}

// indexed are all the columns of a table that have an index.
func indexed(table string) []string {
	columns := slices.Clone(indexes(table))
	for _, l := range lookups(table) {
		if !slices.Contains(columns, l.column) {
			columns = append(columns, l.column)
		}
	}
	return columns
}

// inserted are the rows that Where gives, in the order in which they stand.
func (db *DB) inserted(name, column, value string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, i := range db.find(name, map[string]string{column: value}) {
			if !yield(Row{db.tables[name].rows[i], db.defaults[name]}) {
				return
			}
		}
	}
}

// sort brings the rows of an index into the order of a lookup.
func (t *table) sort(rows []int, l lookup) {
	by := func(key []string) func(a, b int) int {
		return func(a, b int) int { return compareKey(t.rows[a], t.rows[b], key) }
	}
	given := by(l.then[:l.given])
	slices.Sort(rows)
	slices.SortStableFunc(rows, given)
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && given(rows[0], rows[n]) == 0 {
			n++
		}
		if l.covers || walksKey(n, len(t.rows)) {
			slices.SortStableFunc(rows[:n], by(l.then[l.given:]))
		}
		rows = rows[n:]
	}
}

func compareKey(a, b Columns, key []string) int {
	for _, col := range key {
		if c := compareValues(a[col], b[col]); c != 0 {
			return c
		}
	}
	return 0
}

// compareValues: NULL first, numbers as numbers, text without case as if all
// were upper.
func compareValues(a, b any) int {
	x, xIsNumber := a.(int64)
	y, yIsNumber := b.(int64)
	if xIsNumber && yIsNumber {
		return cmp.Compare(x, y)
	}
	if a == nil || b == nil {
		return cmp.Compare(notNull(a), notNull(b))
	}
	return cmp.Compare(strings.ToUpper(text(a)), strings.ToUpper(text(b)))
}

func notNull(v any) int {
	if v == nil {
		return 0
	}
	return 1
}
