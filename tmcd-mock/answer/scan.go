package answer

import (
	"errors"
	"strconv"
	"strings"
)

// What C's sscanf reads of the arguments of those who tell something.

// blanks is what isspace takes for blank, and a blank in a format matches.
const blanks = " \t\n\v\f\r"

// firstWord is what %s reads.
func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// onlyOf reports whether s is letters, digits and the characters of more.
func onlyOf(s, more string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(more, r)) {
			return false
		}
	}
	return true
}

// scanInt is what %d reads: blanks, a sign, digits, of whose value the lower 32
// bits stay.
func scanInt(s string) (int64, bool) {
	s = strings.TrimLeft(s, blanks)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return int64(int32(n)), true
}

// scanFloat is what %f reads, and what comes after it.
func scanFloat(s string) (f float64, rest string, ok bool) {
	s = strings.TrimLeft(s, blanks)
	const longest = 64 // each length is tried
	for end := min(len(s), longest); end > 0; end-- {
		if f, err := strconv.ParseFloat(s[:end], 64); err == nil {
			return f, s[end:], true
		}
	}
	return 0, s, false
}
