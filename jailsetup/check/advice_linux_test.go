package check

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdviseFiles: the table of open files is held against what one jail may
// open: by its memory, or by its processes.
func TestAdviseFiles(t *testing.T) {
	for _, row := range []struct {
		name  string
		setup Setup
		want  bool
	}{
		{"no limit", Setup{}, true},
		{"much memory", Setup{Memory: math.MaxInt64, Processes: math.MaxInt64}, true},
		{"little memory", Setup{Memory: 1 << 20}, false},
		{"one process", Setup{Memory: 1 << 20, Processes: 1}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if most, err := number("fs/file-max")(Load{}); err != nil || most == math.MaxInt64 {
				row.want = row.want && row.setup.Memory == 0 // nothing is more than that
			}
			if got := adviseFiles(row.setup); (len(got) > 0) != row.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAdviseMasks: without a template there is nothing to say.
func TestAdviseMasks(t *testing.T) {
	dir := t.TempDir()
	if got := adviseMasks(dir); got != nil {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.masks"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := adviseMasks(dir); len(got) != 1 || !strings.Contains(got[0].Found, "a.masks") {
		t.Errorf("%+v", got)
	}
}
