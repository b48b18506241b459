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
	g := &Grace{file: path}
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
	none := &Grace{file: path + ".none"}
	none.Hurry()()
	if _, err := os.Stat(none.file); err == nil {
		t.Error("a file was made")
	}
}
