package fault

import (
	"fmt"

	"emujail/protocol"
)

// unknown is the name under which a request counts whose word is no command.
const unknown = "?"

// commands reads a pattern of canonical command names. One that meets none is a
// slip: its rule would never do anything.
func commands(value string) (string, error) {
	value, err := pattern(value)
	if err != nil {
		return "", err
	}
	best, least := "", len(value)+1
	for _, c := range protocol.Commands() {
		if match(value, c.Name) {
			return value, nil
		}
		if d := distance(value, c.Name); d < least {
			best, least = c.Name, d
		}
	}
	switch {
	case match(value, unknown):
		return value, nil
	case least <= 2 || least <= len(value)/3:
		return "", fmt.Errorf("no such command; did you mean %s?", best)
	}
	return "", fmt.Errorf("no such command (docs/protocol.md lists them)")
}

// distance is how many letters must be put in, taken out or changed to make b
// of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
