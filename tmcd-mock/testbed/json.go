package testbed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// DecodeJSON reads plain rows, in the form of testbed.json
// (testdata/vectors/README.md); name is for messages.
func DecodeJSON(name string, b []byte) (*DB, error) {
	db := NewDB()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := decodeObject(dec, db.decodeSection); err != nil {
		line := 1 + bytes.Count(b[:min(int(dec.InputOffset()), len(b))], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %w", name, line, err)
	}
	db.seal()
	return db, nil
}

// decodeObject calls f with each key; f decodes the value. encoding/json's
// maps would lose the order of tables.
func decodeObject(dec *json.Decoder, f func(key string, dec *json.Decoder) error) error {
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return errors.Join(errors.New("expected an object of tables"), err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		if err := f(tok.(string), dec); err != nil {
			return fmt.Errorf("%s: %w", tok, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	return nil
}

func (db *DB) decodeSection(key string, dec *json.Decoder) error {
	switch key {
	case "defaults":
		var v map[string]map[string]any
		if err := dec.Decode(&v); err != nil {
			return err
		}
		db.defaults = make(map[string]Columns, len(v))
		for table, cols := range v {
			c, err := columns(cols)
			if err != nil {
				return err
			}
			if len(c) > 0 {
				db.defaults[table] = c
			}
		}
		return nil
	case "files":
		var v map[string]string
		if err := dec.Decode(&v); err != nil {
			return err
		}
		for path, s := range v {
			content, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return fmt.Errorf("%s: expected base64: %w", path, err)
			}
			db.files[path] = content
		}
		return nil
	case "site":
		var v map[string]any
		if err := dec.Decode(&v); err != nil {
			return err
		}
		return db.Site.fromJSON(v)
	}
	var rows []map[string]any
	if err := dec.Decode(&rows); err != nil {
		return err
	}
	for i, r := range rows {
		c, err := columns(r)
		if err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		db.insert(key, c)
	}
	return nil
}

func columns(m map[string]any) (Columns, error) {
	c := make(Columns, len(m))
	for k, v := range m {
		switch v := v.(type) {
		case nil, string:
			c[k] = v
		case bool:
			c[k] = int64(0)
			if v {
				c[k] = int64(1)
			}
		case json.Number:
			if n, err := v.Int64(); err == nil {
				c[k] = n
			} else if f, err := v.Float64(); err == nil {
				c[k] = f
			} else {
				return nil, fmt.Errorf("column %s: expected a number, not %s", k, v)
			}
		default:
			return nil, fmt.Errorf("column %s: expected text, a number or null", k)
		}
	}
	return c, nil
}

func (s *Site) fromJSON(m map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		known, ok := false, false
		for _, f := range s.fields() {
			if f.key != key {
				continue
			}
			known = true
			switch v := m[key].(type) {
			case string:
				ok = f.text != nil && s.Set(key, v)
			case bool:
				ok = f.flag != nil && s.Set(key, strconv.FormatBool(v))
			case map[string]any:
				ok = f.dirs != nil && f.dirs.fromJSON(v)
			}
		}
		switch {
		case key == "web":
			s.Web, ok = m[key].(string)
		case !known:
			other, err := columns(map[string]any{key: m[key]})
			if err != nil {
				return err
			}
			if s.Other == nil {
				s.Other = Columns{}
			}
			s.Other[key], ok = other[key], true
		}
		if !ok {
			return fmt.Errorf("key %q: expected a value that fits", key)
		}
	}
	return nil
}

func (d *Dirs) fromJSON(m map[string]any) bool {
	for _, f := range d.fields() {
		if v, ok := m[f.key].(string); ok {
			*f.text = v
			delete(m, f.key)
		}
	}
	return len(m) == 0
}

// Export writes db as rows, in the form of testbed.json: one row a line,
// columns sorted by name, those left out that have their table's default.
func (db *DB) Export(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("{")
	for _, name := range db.order {
		fmt.Fprintf(&b, "\n %s: [", quoteJSON(name))
		for i, r := range db.tables[name].rows {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n  ")
			writeJSON(&b, db.trim(name, r))
		}
		b.WriteString("\n ],")
	}
	b.WriteString("\n \"files\": ")
	files := Columns{}
	for path, content := range db.files {
		files[path] = base64.StdEncoding.EncodeToString(content)
	}
	writeJSON(&b, files)
	b.WriteString(",\n \"site\": ")
	writeJSON(&b, db.Site.toJSON())
	b.WriteString(",\n \"defaults\": {")
	for i, name := range slices.Sorted(maps.Keys(db.defaults)) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  %s: ", quoteJSON(name))
		writeJSON(&b, db.defaults[name])
	}
	b.WriteString("\n }\n}\n")
	_, err := w.Write(b.Bytes())
	return err
}

// trim leaves out columns that the defaults say anyway.
func (db *DB) trim(name string, r Columns) Columns {
	out := make(Columns, len(r))
	for col, v := range r {
		if v != db.defaults[name][col] {
			out[col] = v
		}
	}
	return out
}

func (s *Site) toJSON() Columns {
	out := Columns{}
	for _, f := range s.fields() {
		switch {
		case f.text != nil:
			out[f.key] = *f.text
		case f.flag != nil:
			out[f.key] = *f.flag
		default:
			dirs := Columns{}
			for _, d := range f.dirs.fields() {
				dirs[d.key] = *d.text
			}
			out[f.key] = dirs
		}
	}
	if s.Web != "" {
		out["web"] = s.Web
	}
	maps.Copy(out, s.Other)
	return out
}

func writeJSON(b *bytes.Buffer, c Columns) {
	b.WriteByte('{')
	for i, k := range slices.Sorted(maps.Keys(c)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteJSON(k))
		b.WriteString(": ")
		switch v := c[k].(type) {
		case nil:
			b.WriteString("null")
		case string:
			b.WriteString(quoteJSON(v))
		case bool:
			b.WriteString(strconv.FormatBool(v))
		case Columns:
			writeJSON(b, v)
		case float64:
			b.WriteString(flowText(v)) // with a point, so that it stays one
		default:
			b.WriteString(text(v))
		}
	}
	b.WriteByte('}')
}

// quoteJSON keeps bytes above 0x7f that are UTF-8 and escapes no HTML.
func quoteJSON(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
