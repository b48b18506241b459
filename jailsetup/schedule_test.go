package main

import (
	"strings"
	"testing"
)

// TestParseSchedule: a mistake is told with its line and what is expected.
func TestParseSchedule(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "it is empty: want {"},
		{"no object", "\n[]", "line 2: a JSON array is in the wrong place: want {"},
		{"a number in words", "{\"events\": [\n{\"at\": \"two\", \"object\": \"a\", \"action\": \"START\"}]}", "line 2: a JSON string"},
		{"arguments as an object", "{\"events\": [\n\n{\"args\": {\"RATE\": 5}}]}", "line 3: a JSON object"},
		{"a comma lacks", "{\"events\": [\n{\"at\": 1}\n{\"at\": 2}]}", "line 3: invalid character '{' after array element"},
		{"an unknown key", "{\"events\": [{\"obejct\": \"a\"}]}", "line 1: json: unknown field \"obejct\": want {"},
		{"cut off", "{\"events\": [\n{\"at\"", "line 2: it ends too early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseSchedule([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	s, err := parseSchedule([]byte(`{"events": [{"at": 1.5, "object": "cbr0", "action": "START", "args": "RATE=500"}], "groups": {"all": ["cbr0"]}}`))
	if err != nil || len(s.Events) != 1 || s.Events[0].Args != "RATE=500" || len(s.Groups["all"]) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
