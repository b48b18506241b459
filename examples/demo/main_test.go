//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/lab"
)

// No answer isn't no.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		answer string
		err    error
		want   string
	}{
		{"\n", nil, ""},
		{"Yes\n", nil, ""},
		{"n\n", nil, "you said no: nothing done"},
		{"", io.EOF, "no answer: nothing done"},
	} {
		err := verdict(tt.answer, tt.err)
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%q: %v, want %q", tt.answer, err, tt.want)
		}
	}
}

// A lab that is up is left alone, one whose supervisor is gone is removed, and
// where none is nothing is called.
func TestRemoveLab(t *testing.T) {
	for _, tt := range []struct {
		name         string
		exists       bool
		info, down   string // exit codes of the verbs
		calls, error string
	}{
		{"none", false, "0", "0", "", ""},
		{"up", true, "0", "0", "info", "is up; end it first"},
		{"left", true, "1", "0", "info down", ""},
		{"left, and can't be removed", true, "1", "1", "info down", "jailsetup down: exit status 1: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			script := `#!/bin/sh
for verb; do :; done
echo $verb >>` + dir + `/calls
echo no
case $verb in info) exit ` + tt.info + `;; *) exit ` + tt.down + `;; esac
`
			if err := os.WriteFile(filepath.Join(dir, "jailsetup"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			l := lab.Lab{Dir: filepath.Join(dir, "lab"), Bin: dir}
			if tt.exists {
				if err := os.Mkdir(l.Dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			err := removeLab(t.Context(), dir, l)
			if (err == nil) != (tt.error == "") || err != nil && !strings.Contains(err.Error(), tt.error) {
				t.Errorf("%v, want %q", err, tt.error)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil && !errors.Is(err, os.ErrNotExist) || strings.Join(strings.Fields(string(calls)), " ") != tt.calls {
				t.Errorf("called %q (%v), want %q", calls, err, tt.calls)
			}
		})
	}
}
