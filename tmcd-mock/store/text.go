package store

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is bytes that a node sent. They needn't be UTF-8, and they are hostile.
//
// In JSON a Text is a string, and nothing is lost: a byte that is no UTF-8 becomes a lone surrogate,
// \udc80 to \udcff, as Python's surrogateescape has it. Control characters, C1 ones and those that turn
// the direction of writing are escaped too, so that JSON can go to a terminal.
type Text string

// MarshalJSON writes t as the type comment says.
func (t Text) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(t); {
		r, size := utf8.DecodeRuneInString(string(t[i:]))
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\udc%02x`, t[i])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(string(t[i : i+size]))
		}
		i += size
	}
	b.WriteByte('"')
	return []byte(b.String()), nil
}

// unsafeRune: control characters (C0, DEL, C1), line separators, and what turns the direction of text.
func unsafeRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029 ||
		0x200e <= r && r <= 0x200f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0x061c
}

// UnmarshalJSON reads any JSON string, and gives back the bytes that MarshalJSON escaped.
func (t *Text) UnmarshalJSON(data []byte) error {
	if len(data) < 2 || data[0] != '"' || data[len(data)-1] != '"' {
		return fmt.Errorf("text in JSON: want a string, got %.20q", data)
	}
	out := make([]byte, 0, len(data))
	for s := data[1 : len(data)-1]; len(s) > 0; {
		if s[0] != '\\' {
			out, s = append(out, s[0]), s[1:]
			continue
		}
		var err error
		if out, s, err = unescape(out, s); err != nil {
			return err
		}
	}
	*t = Text(out)
	return nil
}

// unescape takes one escape sequence from the front of s.
func unescape(out, s []byte) (appended, rest []byte, err error) {
	if len(s) < 2 {
		return nil, nil, fmt.Errorf("text in JSON: it ends in a backslash")
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return append(out, "\"\\/\b\f\n\r\t"[i]), s[2:], nil
	}
	r, ok := hex4(s)
	if !ok {
		return nil, nil, fmt.Errorf("text in JSON: bad escape %.6q", s)
	}
	s = s[6:]
	if 0xdc80 <= r && r <= 0xdcff {
		return append(out, byte(r)), s, nil
	}
	if low, ok := hex4(s); ok && utf16.IsSurrogate(r) {
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return utf8.AppendRune(out, both), s[6:], nil
		}
	}
	return utf8.AppendRune(out, r), s, nil // a lone surrogate of another kind becomes U+FFFD
}

// hex4 reads \uXXXX at the front of s.
func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// Escaped returns t for a terminal or a log: control characters, bytes that are no UTF-8 and what turns
// the direction of text as \xNN, a backslash doubled. Newlines too, unless keepLines.
func (t Text) Escaped(keepLines bool) string {
	var b strings.Builder
	for i := 0; i < len(t); {
		r, size := utf8.DecodeRuneInString(string(t[i:]))
		switch {
		case r == '\n' && keepLines:
			b.WriteByte('\n')
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1, unsafeRune(r):
			for _, c := range []byte(t[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(string(t[i : i+size]))
		}
		i += size
	}
	return b.String()
}
