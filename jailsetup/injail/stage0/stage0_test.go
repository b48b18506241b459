package stage0_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"emujail/jailsetup/injail/stage0"
)

func TestParseMessage(t *testing.T) {
	all := stage0.DefaultOptions()
	tests := []struct {
		name, text string
		want       stage0.Message
		fail       string
	}{
		{"the least", `{"go":true,"argv":["/x"]}`, stage0.Message{Go: true, Argv: []string{"/x"}}, ""},
		{"all of it", `{"go":true,"bounding":[12,63],"seccomp":"default","argv":["/x","y"],"env":["A=b"]}`,
			stage0.Message{Go: true, Bounding: []int{12, 63}, Seccomp: all, Argv: []string{"/x", "y"}, Env: []string{"A=b"}}, ""},
		{"switches", `{"go":true,"seccomp":{"sysvipc":true,"raw":true},"argv":["/x"]}`,
			stage0.Message{Go: true, Seccomp: stage0.Options{SysVIPC: true, Raw: true}, Argv: []string{"/x"}}, ""},
		{"not go", `{"argv":["/x"]}`, stage0.Message{}, `without "go"`},
		{"empty", ``, stage0.Message{}, "EOF"},
		{"not JSON", `go`, stage0.Message{}, "invalid character"},
		{"twice", `{"go":true,"argv":["/x"]}{"go":true}`, stage0.Message{}, "more than one"},
		{"misspelt restriction", `{"go":true,"boundign":[1],"argv":["/x"]}`, stage0.Message{}, "boundign"},
		{"misspelt switch", `{"go":true,"seccomp":{"sysv":true},"argv":["/x"]}`, stage0.Message{}, "sysv"},
		{"unknown filter", `{"go":true,"seccomp":"none","argv":["/x"]}`, stage0.Message{}, `want "default"`},
		{"no program", `{"go":true}`, stage0.Message{}, "absolute path"},
		{"relative program", `{"go":true,"argv":["x"]}`, stage0.Message{}, "absolute path"},
		{"capability -1", `{"go":true,"bounding":[-1],"argv":["/x"]}`, stage0.Message{}, "no capability -1"},
		{"capability 64", `{"go":true,"bounding":[64],"argv":["/x"]}`, stage0.Message{}, "no capability 64"},
		{"NUL", `{"go":true,"argv":["/x","a\u0000b"]}`, stage0.Message{}, "NUL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := stage0.ParseMessage([]byte(tt.text))
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Fatalf("error %v, want %q", err, tt.fail)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
			b, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := stage0.ParseMessage(b); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("marshalled %s reads as %+v, %v", b, again, err)
			}
		})
	}
	if _, err := stage0.ParseMessage([]byte(`{"argv":["/x"]}`)); !errors.Is(err, stage0.ErrNotGo) {
		t.Errorf("without go: %v, want ErrNotGo", err)
	}
}
