package manual

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check compares files with what is committed below top, the checkout's top
// seen from the test. With update it writes them, and removes pages of commands
// that are no more. program is the prefix of all their names.
func Check(t testing.TB, top, program string, files map[string][]byte, update bool) {
	t.Helper()
	for _, name := range names(files) {
		path := filepath.Join(top, filepath.FromSlash(name))
		if update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, files[name]) {
			t.Errorf("%s is not what its program's help makes (%v): run make man", name, err)
		}
	}
	checkStrays(t, top, program, files, update)
}

// checkStrays finds pages of the program that nothing makes.
func checkStrays(t testing.TB, top, program string, files map[string][]byte, update bool) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(top, manDir, program+"*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		name := manDir + filepath.Base(path)
		if files[name] != nil || !strings.HasPrefix(filepath.Base(path), program+"-") {
			continue
		}
		if update {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s is of no command any more: run make man", name)
	}
}
