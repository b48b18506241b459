package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestRemoveDir: a directory with a record is a jail's and goes with all in it;
// of one without, only what a boot or a kill that was cut off can have left.
func TestRemoveDir(t *testing.T) {
	for _, row := range []struct {
		name  string
		files []string
		left  string // a file that keeps the directory; empty: nothing
	}{
		{"a jail's", []string{recordName, "trace.json", "core", "notes/of/somebody"}, ""},
		{"a boot cut off", []string{recordName + ".new"}, ""},
		{"a kill cut off", nil, ""},
		{"not a jail's", []string{"trace.json", "alice/thesis"}, "alice/thesis"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := Site{State: t.TempDir()}
			dir := s.Dir("pcvm1-1")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, f := range row.files {
				path := filepath.Join(dir, f)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			err := s.removeDir("pcvm1-1")
			if (err == nil) != (row.left == "") {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(dir); row.left == "" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the directory is left: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, row.left)); row.left != "" && err != nil {
				t.Error(err)
			}
		})
	}
}
