package permit

import (
	"os"
	"path/filepath"
	"testing"
)

// TestHurry: on while somebody needs it, and only if it was off.
func TestHurry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rcu_expedited")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got[:1]) != want {
			t.Errorf("is %q, %v; want %q", got, err, want)
		}
	}
	marker := path + ".ours"
	g := &Grace{file: path, Marker: marker}
	put("0\n")
	first := g.Hurry()
	is("1")
	second := g.Hurry()
	first()
	is("1")
	second()
	is("0")
	put("1\n") // the operator's
	done := g.Hurry()
	done()
	is("1")
	none := &Grace{file: path + ".none", Marker: marker}
	none.Hurry()()
	for _, made := range []string{none.file, marker} {
		if _, err := os.Stat(made); err == nil {
			t.Errorf("%s was made", made)
		}
	}
	put("0\n")
	(&Grace{file: path}).Hurry() // who can't say that it was him leaves it
	is("0")
}

// TestHurryKilled: the next process turns off what a killed one left on, and
// nothing that an operator turned on.
func TestHurryKilled(t *testing.T) {
	dir := t.TempDir()
	path, marker := filepath.Join(dir, "rcu_expedited"), filepath.Join(dir, "ours")
	if err := os.WriteFile(path, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	(&Grace{file: path, Marker: marker}).Hurry() // and never done
	next := &Grace{file: path, Marker: marker}
	if err := next.Recover(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got[:1]) != "0" {
		t.Errorf("is %q, %v", got, err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the marker is left")
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := next.Recover(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got[:1]) != "1" {
		t.Errorf("the operator's is %q, %v", got, err)
	}
}
