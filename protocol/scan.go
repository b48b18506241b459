package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// maxLine bounds a line of KEY=VALUE words. tmcd's own buffers hold 4096 bytes.
const maxLine = 8192

var (
	errNotWord   = errors.New("no KEY=VALUE word")
	errEmptyLine = errors.New("empty line")
	errOpenQuote = errors.New("quote is not closed")
	errLongLine  = fmt.Errorf("line is longer than %d bytes", maxLine)
)

// word is one KEY=VALUE of a line; line[start:end] is its value, quotes included.
type word struct {
	key        string
	start, end int
	used       bool
}

// scanWords cuts a line into its tag ("" if it begins with a KEY=VALUE word) and
// its words, appended to words. The protocol escapes nothing, so a value ends
// where the next KEY= follows or the line ends: a quoted one at a quote before
// that, an unquoted one at the space. Hence "CMD='it's done' UID=bob" has two words.
func scanWords(line string, words []word) (string, []word, error) {
	if len(line) > maxLine {
		return "", words, errLongLine
	}
	tag, at := "", 0
	if keyLen(line, 0) == 0 {
		tag, _, _ = strings.Cut(line, " ")
		if tag == "" {
			return "", words, errNotWord
		}
		at = len(tag) + 1
	}
	for at < len(line) {
		n := keyLen(line, at)
		if n == 0 {
			return tag, words, fmt.Errorf("%w at %q", errNotWord, clip(line[at:]))
		}
		start := at + n + 1
		end, err := valueEnd(line, start)
		if err != nil {
			return tag, words, fmt.Errorf("%s=: %w", line[at:at+n], err)
		}
		words = append(words, word{key: line[at : at+n], start: start, end: end})
		at = end + 1
	}
	return tag, words, nil
}

// keyLen is the length of the KEY of a KEY= that begins at line[at:], else 0.
func keyLen(line string, at int) int {
	for i := at; i < len(line); i++ {
		switch c := line[i]; {
		case c >= 'A' && c <= 'Z' || c == '_':
		case c >= '0' && c <= '9' && i > at:
		case c == '=':
			return i - at
		default:
			return 0
		}
	}
	return 0
}

// valueEnd is where the value that begins at start ends.
func valueEnd(line string, start int) (int, error) {
	if start == len(line) || line[start] != '\'' && line[start] != '"' {
		return plainEnd(line, start), nil
	}
	for i := start + 1; i < len(line); i++ {
		if line[i] == line[start] && endsWord(line, i+1) {
			return i + 1, nil
		}
	}
	return 0, errOpenQuote
}

func plainEnd(line string, start int) int {
	for i := start; i < len(line); i++ {
		if line[i] == ' ' && endsWord(line, i) {
			return i
		}
	}
	return len(line)
}

// endsWord reports whether the line ends at i or a space and a KEY= follow there.
func endsWord(line string, i int) bool {
	return i == len(line) || line[i] == ' ' && keyLen(line, i+1) > 0
}
