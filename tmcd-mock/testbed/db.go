package testbed

import (
	"iter"
	"maps"
	"slices"
)

// Columns are the values of one row: string, int64, float64, or nil for NULL.
// A column that is absent has the default of its table, else NULL.
type Columns map[string]any

// DB is a database: tables of rows in the order in which they were inserted.
type DB struct {
	tables   map[string]*table
	order    []string // of tables, for Export
	defaults map[string]Columns
	files    map[string][]byte

	// Site names what Emulab has compiled in.
	Site Site
	// Schedule lists the events of experiments, in order of time.
	Schedule []Event
	// Faults and Timeline are the text of those sections, for whoever knows
	// them; empty when the file has none.
	Faults, Timeline Section
}

// Section is a part of the file that this package does not interpret.
type Section struct {
	Text string // YAML, from the section's key to its end
	Line int    // of the key in the file, from 1
}

type table struct {
	rows  []Columns
	index map[string]map[string][]int // column → folded value → rows
}

// NewDB is an empty database with Emulab's column defaults and site variables.
func NewDB() *DB {
	db := &DB{tables: map[string]*table{}, defaults: map[string]Columns{}, files: map[string][]byte{}}
	for name, cols := range schemaDefaults() {
		db.defaults[name] = cols
	}
	db.Site = defaultSite()
	return db
}

// Clone copies db; rows of the copy may change without the original knowing.
func (db *DB) Clone() *DB {
	c := *db
	c.tables = make(map[string]*table, len(db.tables))
	for name, t := range db.tables {
		n := &table{rows: make([]Columns, len(t.rows))}
		for i, r := range t.rows {
			n.rows[i] = maps.Clone(r)
		}
		n.reindex(name)
		c.tables[name] = n
	}
	c.order = slices.Clone(db.order)
	c.files = maps.Clone(db.files)
	return &c
}

// Tables lists the names of the tables that have rows, in the file's order.
func (db *DB) Tables() []string { return slices.Clone(db.order) }

// Len is the number of rows of a table.
func (db *DB) Len(name string) int {
	if t := db.tables[name]; t != nil {
		return len(t.rows)
	}
	return 0
}

// File is the content of a file below the testbed's directory.
func (db *DB) File(path string) ([]byte, bool) {
	b, ok := db.files[path]
	return b, ok
}

// Rows are all rows of a table, in order.
func (db *DB) Rows(name string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		t := db.tables[name]
		if t == nil {
			return
		}
		def := db.defaults[name]
		for _, r := range t.rows {
			if !yield(Row{r, def}) {
				return
			}
		}
	}
}

// Where are the rows of a table whose column equals value, in the order of the
// key that is walked for it (order.go), else in that of the rows. Strings compare
// without case, numbers by their text; NULL equals nothing.
func (db *DB) Where(name, column, value string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		t := db.tables[name]
		if t == nil {
			return
		}
		def := db.defaults[name]
		value = foldText(value)
		if ix := t.index[column]; ix != nil {
			for _, i := range ix[value] {
				if !yield(Row{t.rows[i], def}) {
					return
				}
			}
			return
		}
		for _, c := range t.rows {
			r := Row{c, def}
			if v := r.Value(column); v != nil && foldText(text(v)) == value && !yield(r) {
				return
			}
		}
	}
}

// WhereAny are the rows whose column equals one of the values, in their own order.
// The column is one that has an index.
func (db *DB) WhereAny(name, column string, values ...string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		t := db.tables[name]
		if t == nil {
			return
		}
		var hits []int
		for _, v := range values {
			hits = append(hits, t.index[column][foldText(v)]...)
		}
		slices.Sort(hits)
		for _, i := range slices.Compact(hits) {
			if !yield(Row{t.rows[i], db.defaults[name]}) {
				return
			}
		}
	}
}

// First is the first row of Where, or the zero Row.
func (db *DB) First(name, column, value string) Row {
	for r := range db.Where(name, column, value) {
		return r
	}
	return Row{}
}

// SiteVar is the value of a site variable: its value, or if that is NULL or
// empty its default, or if the table lacks it Emulab's default.
func (db *DB) SiteVar(name string) string {
	if r := db.First("sitevariables", "name", name); !r.IsZero() {
		if v := r.Text("value"); v != "" {
			return v
		}
		return r.Text("defaultvalue")
	}
	for _, v := range siteVariables() {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

// insert appends a row; the index is not kept up.
func (db *DB) insert(name string, cols Columns) {
	t := db.tables[name]
	if t == nil {
		t = &table{}
		db.tables[name] = t
		db.order = append(db.order, name)
	}
	t.rows = append(t.rows, cols)
}

// seal builds the indexes, once the rows are there.
func (db *DB) seal() {
	for name, t := range db.tables {
		t.reindex(name)
	}
}

func (t *table) reindex(name string) {
	columns := indexed(name)
	t.index = make(map[string]map[string][]int, len(columns))
	for _, col := range columns {
		t.index[col] = make(map[string][]int, len(t.rows))
	}
	for i := range t.rows {
		t.addToIndex(i)
	}
	for _, l := range lookups(name) {
		for _, rows := range t.index[l.column] {
			t.sort(rows, l)
		}
	}
}

// addToIndex makes a row findable; those before it are already.
func (t *table) addToIndex(i int) {
	for col, ix := range t.index {
		if v := t.rows[i][col]; v != nil {
			k := foldText(text(v))
			ix[k] = append(ix[k], i)
		}
	}
}
