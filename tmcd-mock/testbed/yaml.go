package testbed

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxErrors bounds how many mistakes of one file are told.
const maxErrors = 20

// reader walks a YAML tree and collects mistakes, each with its line.
type reader struct {
	file string
	errs []error
}

// entry is one key of a mapping with its value.
type entry struct {
	key string
	at  ast.Node // of the key, for messages
	val ast.Node
}

func (r *reader) fail(line int, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...)))
	}
}

func (r *reader) failAt(n ast.Node, format string, args ...any) { r.fail(lineOf(n), format, args...) }

func (r *reader) err() error { return errors.Join(r.errs...) }

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// entries are the keys of a mapping, in order. what names it in messages.
// An empty value (`users:` and nothing more) is an empty mapping.
func (r *reader) entries(n ast.Node, what string) []entry {
	var values []*ast.MappingValueNode
	switch n := plain(n).(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.failAt(n, "expected %s as `key: value` lines, not %s", what, kindOf(n))
		return nil
	}
	out := make([]entry, 0, len(values))
	seen := make(map[string]ast.Node, len(values))
	for _, v := range values {
		e := entry{scalarText(v.Key), v.Key, v.Value}
		if first, dup := seen[e.key]; dup {
			r.failAt(e.at, "expected each key once, %q stands already in line %d", e.key, lineOf(first))
			continue
		}
		seen[e.key] = e.at
		out = append(out, e)
	}
	return out
}

// field is a key that an object may have, and what reads its value.
type field struct {
	key  string
	read func(ast.Node)
}

// object reads a mapping whose keys are known.
func (r *reader) object(n ast.Node, what string, fields []field) {
	for _, e := range r.entries(n, what) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		if i < 0 {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.key
			}
			r.failAt(e.at, "unknown key %q: expected for %s one of %s", e.key, what, strings.Join(names, ", "))
			continue
		}
		fields[i].read(e.val)
	}
}

// items are the elements of a list; a single value counts as a list of one.
func (r *reader) items(n ast.Node) []ast.Node {
	switch n := plain(n).(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		return n.Values
	default:
		return []ast.Node{n}
	}
}

// text reads any scalar as it is written, quotes resolved.
func (r *reader) text(n ast.Node, what string) string {
	switch n := plain(n).(type) {
	case nil, *ast.NullNode:
		return ""
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		r.failAt(n, "expected %s, not %s", what, kindOf(n))
		return ""
	default:
		return scalarText(n)
	}
}

func (r *reader) number(n ast.Node, what string, low, high int) int {
	if i, ok := plain(n).(*ast.IntegerNode); ok {
		if v, err := strconv.Atoi(i.GetToken().Value); err == nil && v >= low && v <= high {
			return v
		}
	}
	limit := fmt.Sprintf(" from %d to %d", low, high)
	if high == math.MaxInt {
		limit = fmt.Sprintf(", at least %d", low)
	}
	r.failAt(n, "expected %s, a number%s, not %s", what, limit, shown(n))
	return low
}

func (r *reader) flag(n ast.Node, what string) bool {
	switch n := plain(n).(type) {
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		if v := n.GetToken().Value; v == "0" || v == "1" {
			return v == "1"
		}
	}
	r.failAt(n, "expected %s, true or false, not %s", what, shown(n))
	return false
}

// addr reads an IPv4 address; "" for none.
func (r *reader) addr(n ast.Node, what string) string {
	s := r.text(n, what)
	if s == "" {
		return ""
	}
	if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
		r.failAt(n, "expected %s, an IPv4 address like 10.1.1.2, not %q", what, s)
	}
	return s
}

// mask reads a netmask like 255.255.255.0 or a prefix length like 24 or /24.
func (r *reader) mask(n ast.Node, what string) string {
	s := r.text(n, what)
	if s == "" {
		return ""
	}
	if bits, err := strconv.Atoi(strings.TrimPrefix(s, "/")); err == nil && bits >= 0 && bits <= 32 {
		return maskOf(bits)
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Is4() {
		b := a.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if ^v&(^v+1) == 0 {
			return s
		}
	}
	r.failAt(n, "expected %s, a netmask like 255.255.255.0 or 24, not %q", what, s)
	return s
}

func maskOf(bits int) string {
	v := ^uint32(0) << (32 - bits)
	if bits == 0 {
		v = 0
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

// mac reads a MAC address, with or without separators, as 12 hex digits.
func (r *reader) mac(n ast.Node, what string) string {
	s := strings.ToLower(strings.NewReplacer(":", "", "-", "").Replace(r.text(n, what)))
	if s != "" && (len(s) != 12 || strings.Trim(s, "0123456789abcdef") != "") {
		r.failAt(n, "expected %s, a MAC address like 02:0a:01:01:02:01, not %s", what, shown(n))
	}
	return s
}

// name reads an identifier of letters, digits, - and _ (and more, if given). One
// with - at its head would be an option to whatever program is given it.
func (r *reader) name(n ast.Node, s, what, more string, limit int) string {
	bad := strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_"+more, c))
	})
	if s == "" || s[0] == '-' || bad >= 0 || len(s) > limit {
		r.failAt(n, "expected %s of 1 to %d letters, digits, '-' and '_', with no '-' at its head, not %q", what, limit, s)
	}
	return s
}

// oneOf reads one of a few words.
func (r *reader) oneOf(n ast.Node, what string, words ...string) string {
	s := r.text(n, what)
	if !slices.Contains(words, s) {
		r.failAt(n, "expected %s, one of %s, not %q", what, strings.Join(words, ", "), s)
	}
	return s
}

// value reads a scalar for a raw column.
func (r *reader) value(n ast.Node, what string) any {
	switch n := plain(n).(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.BoolNode:
		if n.Value {
			return int64(1)
		}
		return int64(0)
	case *ast.IntegerNode:
		if v, err := strconv.ParseInt(n.GetToken().Value, 10, 64); err == nil {
			return v
		}
		return n.GetToken().Value
	case *ast.FloatNode:
		return n.Value
	default:
		return r.text(n, what)
	}
}

// plain looks through anchors and tags.
func plain(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		default:
			return n
		}
	}
}

func scalarText(n ast.Node) string {
	switch v := plain(n).(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	case ast.MapKeyNode:
		if t := v.GetToken(); t != nil {
			return t.Value
		}
	}
	if n != nil && n.GetToken() != nil {
		return n.GetToken().Value
	}
	return ""
}

func kindOf(n ast.Node) string {
	switch plain(n).(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return shown(n)
}

func shown(n ast.Node) string {
	switch v := plain(n).(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return kindOf(v)
	default:
		return strconv.Quote(scalarText(v))
	}
}
