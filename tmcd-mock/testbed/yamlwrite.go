package testbed

import (
	"slices"
	"strconv"
	"strings"
)

// A small writer of YAML that a person likes to read: what fits stands on one
// line in braces, what doesn't is indented. Values are mapping, list, string,
// int, int64, float64, bool and nil.

type mapping []pair

type pair struct {
	key string
	val any
}

type list []any

// set adds a key unless the value is the type's zero.
func (m *mapping) set(key string, val any) {
	switch v := val.(type) {
	case string:
		if v == "" {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case bool:
		if !v {
			return
		}
	case mapping:
		if len(v) == 0 {
			return
		}
	case list:
		if len(v) == 0 {
			return
		}
	}
	*m = append(*m, pair{key, val})
}

const widest = 110 // columns of a line in braces

// writeBlock writes a mapping's keys below each other.
func writeBlock(b *strings.Builder, m mapping, indent int) {
	for _, p := range m {
		pad := strings.Repeat(" ", indent)
		key := yamlString(p.key)
		b.WriteString(pad + key + ":")
		writeValue(b, p.val, indent, len(pad)+len(key)+2)
	}
}

func writeValue(b *strings.Builder, val any, indent, column int) {
	flow := flowText(val)
	if column+len(flow) <= widest || isScalar(val) {
		b.WriteString(" " + flow + "\n")
		return
	}
	b.WriteByte('\n')
	switch v := val.(type) {
	case mapping:
		writeBlock(b, v, indent+2)
	case list:
		for _, item := range v {
			writeItem(b, item, indent+2)
		}
	}
}

// writeItem writes a list's element; a mapping too wide for its line goes on
// below its first key.
func writeItem(b *strings.Builder, item any, indent int) {
	pad := strings.Repeat(" ", indent)
	flow := flowText(item)
	m, ok := item.(mapping)
	if !ok || indent+2+len(flow) <= widest {
		b.WriteString(pad + "- " + flow + "\n")
		return
	}
	var inner strings.Builder
	writeBlock(&inner, m, indent+2)
	b.WriteString(pad + "- " + inner.String()[indent+2:])
}

func isScalar(v any) bool {
	switch v.(type) {
	case mapping, list:
		return false
	}
	return true
}

func flowText(v any) string {
	switch v := v.(type) {
	case mapping:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = yamlString(p.key) + ": " + flowText(p.val)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = flowText(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return yamlString(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

// yamlString writes a string plainly where no reader of YAML could take it for
// anything else.
func yamlString(s string) string {
	if plainText(s) || plainAddr(s) {
		return s
	}
	return strconv.Quote(s)
}

func plainText(s string) bool {
	if s == "" || strings.TrimSpace(s) != s || strings.Contains(s, "  ") {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '/'
		if !letter && (i == 0 || strings.IndexByte("0123456789 .@+=-$", c) < 0) {
			return false
		}
	}
	reserved := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	return !slices.Contains(reserved, strings.ToLower(s))
}

func plainAddr(s string) bool {
	return isIPv4(s) // three dots: no number
}
