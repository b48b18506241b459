package answer

import (
	"cmp"
	"iter"
	"slices"

	"emujail/tmcd-mock/testbed"
)

// How answers find, join and sort rows. A row that isn't there is the zero Row.

// where are the rows of a table for which all the column, value pairs hold, in
// the order in which the first of them finds them.
func where(db *testbed.DB, table, column, value string, more ...string) iter.Seq[testbed.Row] {
	return having(db.Where(table, column, value), more...)
}

func (c *call) where(table, column, value string, more ...string) iter.Seq[testbed.Row] {
	return where(c.db, table, column, value, more...)
}

// ofExperiment are the rows of a table that are the asker's experiment's: their
// pid and eid say so, or in rows without them their exptidx. The column, value
// pairs hold for them, too.
func (c *call) ofExperiment(table string, pairs ...string) iter.Seq[testbed.Row] {
	return having(func(yield func(testbed.Row) bool) {
		for r := range c.where(table, "eid", c.who.eid, "pid", c.who.pid) {
			if !yield(r) {
				return
			}
		}
		if !c.who.allocated() {
			return
		}
		for r := range c.db.Where(table, "exptidx", c.who.exptidx) {
			if !r.Has("eid") && !r.Has("pid") && !yield(r) {
				return
			}
		}
	}, pairs...)
}

// ofNode are the rows of the experiment that name this node.
func (c *call) ofNode(table, column string) iter.Seq[testbed.Row] {
	if c.who.exptidx == "" {
		return slices.Values([]testbed.Row(nil))
	}
	return c.where(table, "exptidx", c.who.exptidx, column, c.who.nickname)
}

// having are those of the rows for which all the column, value pairs hold.
func having(rows iter.Seq[testbed.Row], pairs ...string) iter.Seq[testbed.Row] {
	return filter(rows, func(r testbed.Row) bool {
		for i := 0; i+1 < len(pairs); i += 2 {
			if !r.Is(pairs[i], pairs[i+1]) {
				return false
			}
		}
		return true
	})
}

func filter(rows iter.Seq[testbed.Row], keep func(testbed.Row) bool) iter.Seq[testbed.Row] {
	return func(yield func(testbed.Row) bool) {
		for r := range rows {
			if keep(r) && !yield(r) {
				return
			}
		}
	}
}

// first is the first of the rows, or the zero Row.
func first(rows iter.Seq[testbed.Row]) testbed.Row {
	for r := range rows {
		return r
	}
	return testbed.Row{}
}

// orNone are the rows, or one without columns if there are none: what a left
// join goes on with.
func orNone(rows iter.Seq[testbed.Row]) []testbed.Row {
	if all := slices.Collect(rows); len(all) > 0 {
		return all
	}
	return []testbed.Row{{}}
}

// sorted are the rows by a column that holds numbers.
func sorted(rows iter.Seq[testbed.Row], column string) []testbed.Row {
	return slices.SortedStableFunc(rows, func(a, b testbed.Row) int { return cmp.Compare(a.Int(column), b.Int(column)) })
}

// nodeAttr is an attribute of a node; false if there is no row of it. One that
// is NULL is there, and is "".
func nodeAttr(db *testbed.DB, id, key string) (string, bool) {
	a := first(where(db, "node_attributes", "node_id", id, "attrkey", key))
	return a.Text("attrvalue"), !a.IsZero()
}

// typeAttr is an attribute of a type of nodes, as nodeAttr of a node.
func typeAttr(db *testbed.DB, kind, key string) (string, bool) {
	a := first(where(db, "node_type_attributes", "type", kind, "attrkey", key))
	return a.Text("attrvalue"), !a.IsZero()
}

func texts(rows []testbed.Row, column string) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Text(column))
	}
	return all
}

// control is the row of a node's control interface, the first if there are
// several.
func control(db *testbed.DB, node string) testbed.Row {
	return first(slices.Values(controls(db, node)))
}

// controls are a node's control interfaces, in the order of the table's key.
func controls(db *testbed.DB, node string) []testbed.Row {
	return slices.SortedStableFunc(where(db, "interfaces", "node_id", node, "role", "ctrl"), func(a, b testbed.Row) int {
		return cmp.Or(cmp.Compare(a.Int("card"), b.Int("card")), cmp.Compare(a.Int("port"), b.Int("port")))
	})
}

// interfaceOf is a physical interface of a node.
func (c *call) interfaceOf(node, iface string) testbed.Row {
	return first(c.where("interfaces", "node_id", node, "iface", iface))
}
