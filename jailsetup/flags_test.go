package main

import (
	"io"
	"strings"
	"testing"
)

// What can't be read as a flag's value is refused in words for people.
func TestFlagMistakes(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"capture core -c x", "--count x: want a whole number (jailsetup capture --help)"},
		{"logs v1 -n many", "--lines many: want a whole number (jailsetup logs --help)"},
		{"cp a v1:b --limit 4G", "--limit 4G: want a whole number (jailsetup cp --help)"},
		{"event demo --at soon", "--at soon: want a number (jailsetup event --help)"},
		{"top --interval 5", "--interval 5: want a time like 500ms or 2s (jailsetup top --help)"},
		{"list --json=maybe", "--json maybe: want true or false (jailsetup list --help)"},
		{"doctor --jails", "flag needs an argument: --jails (jailsetup doctor --help)"},
	} {
		root := newRootCommand()
		root.SetArgs(strings.Fields(tt.line))
		root.SetOut(io.Discard)
		if err := root.Execute(); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.line, err, tt.want)
		}
	}
}
