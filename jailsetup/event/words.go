package event

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// vocabulary is what objects of one type understand.
type vocabulary struct {
	what          string
	actions, keys []string
}

func vocabularies() map[string]vocabulary {
	return map[string]vocabulary{
		TrafGen: {"a traffic generator", []string{"START", "STOP", "MODIFY", "RESET"}, []string{"PACKETSIZE", "RATE", "INTERVAL", "IPTOS"}},
		Program: {"a program", []string{"START", "STOP", "KILL", "MODIFY", "RUN", "HALT", "RESET"},
			[]string{"COMMAND", "DIR", "TIMEOUT", "EXPECTED_EXIT_CODE", "SIGNAL"}},
	}
}

// CheckWords says which of an event's words an object of this type doesn't
// understand. Of a type that it doesn't know it believes everything.
func CheckWords(kind, action, args string) error {
	v, ok := vocabularies()[kind]
	if !ok {
		return nil
	}
	if !slices.Contains(v.actions, action) {
		return fmt.Errorf("action %s: %s knows %s", action, v.what, strings.Join(v.actions, ", "))
	}
	words, err := SplitArgs(args)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(words)) {
		if !slices.Contains(v.keys, key) {
			return fmt.Errorf("argument %s: %s knows %s", key, v.what, strings.Join(v.keys, ", "))
		}
		if slices.Contains(numbers(), key) && !isNumber(words[key]) {
			return fmt.Errorf("argument %s=%s: want a number", key, words[key])
		}
	}
	return nil
}

// numbers are the arguments that are numbers, of whatever type. How large they may
// be is for the object to say.
func numbers() []string {
	return []string{"PACKETSIZE", "RATE", "INTERVAL", "IPTOS", "TIMEOUT", "EXPECTED_EXIT_CODE"}
}

// isNumber takes whatever an agent takes: decimal, 0x, octal and floating; empty is
// for none.
func isNumber(s string) bool {
	_, notInt := strconv.ParseInt(s, 0, 64)
	_, notFloat := strconv.ParseFloat(s, 64)
	return s == "" || notInt == nil || notFloat == nil
}

// JoinArgs makes an event's arguments of KEY=VALUE words; a value with spaces gets
// quotes.
func JoinArgs(words []string) string {
	words = slices.Clone(words)
	for i, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if ok && strings.ContainsAny(value, " \t") && !strings.ContainsAny(value[:1], `'"`) {
			quote := "'"
			if strings.Contains(value, quote) {
				quote = `"`
			}
			words[i] = key + "=" + quote + value + quote
		}
	}
	return strings.Join(words, " ")
}

// SplitArgs reads an event's arguments: KEY=VALUE words, values with spaces in
// '…' or "…".
func SplitArgs(text string) (map[string]string, error) {
	all := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return all, nil
		}
		key, rest, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(key, " \t'\"") {
			return nil, fmt.Errorf("arguments: want KEY=VALUE at %q", text)
		}
		end := strings.IndexAny(rest, " \t")
		if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
			quote := strings.IndexByte(rest[1:], rest[0])
			if quote < 0 {
				return nil, errors.New("arguments: a quote isn't closed")
			}
			all[key], text = rest[1:1+quote], rest[2+quote:]
			continue
		}
		if end < 0 {
			end = len(rest)
		}
		all[key], text = rest[:end], rest[end:]
	}
}
