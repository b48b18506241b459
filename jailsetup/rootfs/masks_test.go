package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestUnmasked: what others can't read and the newest list hasn't, but not what
// lies in a directory that it has.
func TestUnmasked(t *testing.T) {
	usr, templates := t.TempDir(), t.TempDir()
	err := errors.Join(
		os.MkdirAll(filepath.Join(usr, "lib/hidden"), 0o755), os.Chmod(filepath.Join(usr, "lib/hidden"), 0o700),
		os.WriteFile(filepath.Join(usr, "old"), nil, 0o600), os.WriteFile(filepath.Join(usr, "open"), nil, 0o644),
		os.WriteFile(filepath.Join(templates, "a.masks"), []byte(`["old","new"]`), 0o600),
		os.Chtimes(filepath.Join(templates, "a.masks"), time.Time{}, time.Now().Add(-time.Hour)),
		os.WriteFile(filepath.Join(templates, "b.masks"), []byte(`["old","lib"]`), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unmasked(templates, usr); err != nil || len(got) != 0 {
		t.Errorf("nothing is new: %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(usr, "new"), nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if got, err := Unmasked(templates, usr); err != nil || !slices.Equal(got, []string{filepath.Join(usr, "new")}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Unmasked(t.TempDir(), usr); err != nil || got != nil {
		t.Errorf("without a template: %q, %v", got, err)
	}
}
