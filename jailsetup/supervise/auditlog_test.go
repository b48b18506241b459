package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestAuditLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	a := auditLog{path: filepath.Join(dir, "audit.log"), maxBytes: 10, files: 3}
	put := func(text string, renew bool, wantRoom int64) {
		t.Helper()
		f, room, err := a.open(renew)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if room != wantRoom {
			t.Errorf("room for %d bytes, want %d", room, wantRoom)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	put("1234", false, 10)
	put("567", false, 6)     // opened again: the same file
	put("full", true, 10)    // told that it is full: a new one
	put("another", true, 10) // and again
	put("4444444444", true, 10)
	put("5", false, 10) // found full
	for n, want := range []string{"5", "4444444444", "another"} {
		name := "audit.log"
		if n > 0 {
			name = fmt.Sprintf("audit.log.%d", n)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 3 {
		t.Errorf("%d files, %v", len(list), err)
	}
	t.Run("a link in its place", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.Symlink("/dev/null", path); err != nil {
			t.Fatal(err)
		}
		b := auditLog{path: path, maxBytes: 10, files: 3}
		if f, _, err := b.open(false); err == nil {
			f.Close()
			t.Error("followed")
		}
	})
}

func TestPolicyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy")
	p := policyFile{path: path}
	for _, row := range []struct {
		name, text string // empty text: no file
		err        bool
		rules      int
	}{
		{"none", "", false, 0},
		{"two", "# why\n\nallow role\n deny status\n", false, 2},
		{"a mistake keeps what was", "allow role\nallow nonsense\n", true, 2},
		{"one", "deny status\n", false, 1},
		{"taken away", "", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			_ = os.Remove(path) // another inode each time
			if row.text != "" {
				if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := p.renew()
			if (err != nil) != row.err || len(p.rules()) != row.rules {
				t.Errorf("%v, rules %q", err, p.rules())
			}
			if err := p.renew(); err != nil {
				t.Errorf("looked at again: %v", err)
			}
		})
	}
	p.denyAll()
	if len(p.rules()) != 107 {
		t.Errorf("%d commands denied, want all 107", len(p.rules()))
	}
}
