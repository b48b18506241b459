package testbed

import (
	"strconv"
	"strings"
)

// Row is one row of a table, with the table's defaults behind it. The zero
// Row stands for "no such row": every column of it is NULL.
type Row struct {
	columns  Columns
	defaults Columns
}

// IsZero reports whether there is no row.
func (r Row) IsZero() bool { return r.columns == nil }

// Value is a column's value: string, int64, float64, or nil for NULL.
func (r Row) Value(column string) any {
	if v, ok := r.columns[column]; ok {
		return v
	}
	if r.columns == nil {
		return nil
	}
	return r.defaults[column]
}

// Text is a column as the database prints it; "" for NULL.
func (r Row) Text(column string) string { return text(r.Value(column)) }

// Int is a column as a number, as C's atoi reads it: 0 for NULL and for text
// that does not begin with digits.
func (r Row) Int(column string) int {
	switch v := r.Value(column).(type) {
	case int64:
		return int(v)
	case float64:
		return int(v)
	case string:
		return Atoi(v)
	}
	return 0
}

// Bool reports whether a column is a number other than 0.
func (r Row) Bool(column string) bool { return r.Int(column) != 0 }

// Is reports whether a column equals value as the database compares: without
// case, NULL equal to nothing.
func (r Row) Is(column, value string) bool {
	v := r.Value(column)
	return v != nil && strings.EqualFold(text(v), value)
}

// Matches reports whether each of the columns is as [Row.Is] says.
func (r Row) Matches(where map[string]string) bool {
	for column, value := range where {
		if !r.Is(column, value) {
			return false
		}
	}
	return true
}

// Has reports whether a column is neither NULL nor empty.
func (r Row) Has(column string) bool { return r.Text(column) != "" }

// Atoi reads the number that s begins with, after blanks, as C's atoi does.
func Atoi(s string) int {
	s = strings.TrimLeft(s, " \t\n")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0
	}
	return n
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

func foldText(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(s)
		}
	}
	return s
}
