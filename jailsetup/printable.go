package main

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// visible passes a jail's words on to a terminal: lines and tabs as they are,
// every other byte that a terminal might obey, or that is no text, as \xNN. What
// a jail logs can't move the cursor, set titles or hide lines.
type visible struct {
	w    io.Writer
	rest []byte // of a character that is not whole yet
}

// Write implements [io.Writer].
func (v *visible) Write(p []byte) (int, error) {
	text := append(v.rest, p...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, n := utf8.DecodeRune(text)
		out = appendVisible(out, r, text[:n])
		text = text[n:]
	}
	v.rest = append([]byte(nil), text...)
	_, err := v.w.Write(out)
	return len(p), err
}

// flush shows what is left of a character that never became whole.
func (v *visible) flush() {
	for _, c := range v.rest {
		fmt.Fprintf(v.w, `\x%02x`, c)
	}
	v.rest = nil
}

func appendVisible(out []byte, r rune, as []byte) []byte {
	broken := r == utf8.RuneError && len(as) == 1
	if r == '\n' || r == '\t' || unicode.IsPrint(r) && !broken {
		return append(out, as...)
	}
	for _, c := range as {
		out = fmt.Appendf(out, `\x%02x`, c)
	}
	return out
}

// printable shows a jail's words on one line.
func printable(s string) string {
	var out []byte
	for text := []byte(s); len(text) > 0; {
		r, n := utf8.DecodeRune(text)
		if r == '\n' || r == '\t' {
			out = fmt.Appendf(out, `\x%02x`, r)
		} else {
			out = appendVisible(out, r, text[:n])
		}
		text = text[n:]
	}
	return string(out)
}
