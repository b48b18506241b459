package event

import (
	"errors"
	"fmt"
	"slices"
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
	for key := range words {
		if !slices.Contains(v.keys, key) {
			return fmt.Errorf("argument %s: %s knows %s", key, v.what, strings.Join(v.keys, ", "))
		}
	}
	return nil
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
