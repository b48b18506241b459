package summary

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReadAndText(t *testing.T) {
	good, err := json.Marshal(Summary{Action: "boot", VNode: "pcvm1-1", MS: 12, State: "ISUP", Steps: []Result{
		{Step: "accounts", Status: OK, MS: 1, Changes: []string{"a"}},
		{Step: "rpms", Status: Failed, Why: "no rpm\x1b[2J\n\u202e"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(good)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Changed() || s.Failures() != 1 {
		t.Errorf("changed %v, %d failures", s.Changed(), s.Failures())
	}
	text := s.Text()
	for _, want := range []string{`no rpm\x1b[2J\x0a\xe2\x80\xae`, "pcvm1-1 boot: ISUP after 12 ms, 1 of 2 steps failed\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	if n := strings.Count(text, "\n"); n != 3 {
		t.Errorf("%d lines: %q", n, text)
	}
}

func TestReadHostile(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "\x1b]0;x\a", "a list": "[1]", "cut off": `{"steps": [`,
		"too long": `{"error":"` + strings.Repeat("x", MaxBytes) + `"}`,
		"steps":    `{"steps":[` + strings.TrimSuffix(strings.Repeat("{},", maxSteps+1), ",") + `]}`,
	} {
		if s, err := Read([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", name, s)
		}
	}
}
