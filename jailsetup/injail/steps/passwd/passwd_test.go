package passwd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func etc(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range map[string]string{
		"passwd":  "root:x:0:0:root:/root:/bin/bash\n# a comment\nold:x:1:1::/:/bin/sh\n",
		"shadow":  "root:*:1:0:99999:7:::\nold:$6$a:1:2:3:4:5:6:\n",
		"group":   "root:x:0:\nstaff:x:50:root,old\n",
		"gshadow": "root:*::\nstaff:!:root:root,old\n",
	} {
		mode := os.FileMode(0o644)
		if strings.Contains(name, "shadow") {
			mode = 0o640
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// edit opens, changes and saves.
func edit(tb testing.TB, dir string, change func(*DB)) bool {
	tb.Helper()
	db, err := Open(context.Background(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	change(db)
	changed, err := db.Save()
	if err != nil {
		tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	return changed
}

func text(tb testing.TB, dir, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestEdit(t *testing.T) {
	alice := User{"alice", 2001, 600, "Alice A", "/users/alice", "/bin/bash"}
	for _, row := range []struct {
		name   string
		change func(*DB)
		want   map[string]string // what is different afterwards; else all is as before
	}{
		{"nothing", func(db *DB) {}, nil},
		{"the same again", func(db *DB) { db.AddMember("staff", "old"); db.RemoveMember("staff", "nobody") }, nil},
		{"add a user", func(db *DB) { db.SetUser(alice, "$6$h") }, map[string]string{
			"passwd": "root:x:0:0:root:/root:/bin/bash\n# a comment\nold:x:1:1::/:/bin/sh\nalice:x:2001:600:Alice A:/users/alice:/bin/bash\n",
			"shadow": "root:*:1:0:99999:7:::\nold:$6$a:1:2:3:4:5:6:\nalice:$6$h::0:99999:7:::\n"}},
		{"change a hash, keep the ageing", func(db *DB) {
			u, _ := db.User("old")
			db.SetUser(u, "$6$b")
		}, map[string]string{"shadow": "root:*:1:0:99999:7:::\nold:$6$b:1:2:3:4:5:6:\n"}},
		{"delete a user", func(db *DB) { db.DeleteUser("old") }, map[string]string{
			"passwd": "root:x:0:0:root:/root:/bin/bash\n# a comment\n", "shadow": "root:*:1:0:99999:7:::\n",
			"group": "root:x:0:\nstaff:x:50:root\n", "gshadow": "root:*::\nstaff:!:root:root\n"}},
		{"add a group", func(db *DB) { db.SetGroup(Group{Name: "g", GID: 600}); db.AddMember("g", "old") }, map[string]string{
			"group": "root:x:0:\nstaff:x:50:root,old\ng:x:600:old\n", "gshadow": "root:*::\nstaff:!:root:root,old\ng:!::old\n"}},
		{"delete a group", func(db *DB) { db.DeleteGroup("staff") }, map[string]string{
			"group": "root:x:0:\n", "gshadow": "root:*::\n"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := etc(t)
			before := map[string]string{}
			for _, name := range []string{"passwd", "shadow", "group", "gshadow"} {
				before[name] = text(t, dir, name)
			}
			if changed := edit(t, dir, row.change); changed != (row.want != nil) {
				t.Errorf("changed %v", changed)
			}
			for name, was := range before {
				want := was
				if w, ok := row.want[name]; ok {
					want = w
				}
				if got := text(t, dir, name); got != want {
					t.Errorf("%s:\n%swant\n%s", name, got, want)
				}
			}
			if edit(t, dir, row.change) {
				t.Error("the second run changes something")
			}
			if st, err := os.Stat(filepath.Join(dir, "shadow")); err != nil || st.Mode().Perm() != 0o640 {
				t.Errorf("shadow: %v %v", st.Mode(), err)
			}
			names, err := filepath.Glob(filepath.Join(dir, "[a-z]*[.+]*"))
			if err != nil || len(names) != 0 {
				t.Errorf("left: %v %v", names, err)
			}
		})
	}
}

// TestLockedByAnother: flock on .pwd.lock by fcntl, and a lock file of a living
// process, keep us out; those of the dead don't.
func TestLocks(t *testing.T) {
	open := func(dir string) error {
		ctx, stop := context.WithTimeout(context.Background(), 150*time.Millisecond)
		defer stop()
		db, err := Open(ctx, dir)
		if err == nil {
			err = db.Close()
		}
		return err
	}
	t.Run("ours excludes us", func(t *testing.T) {
		dir := etc(t)
		db, err := Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := open(dir); err == nil {
			t.Error("opened twice")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := open(dir); err != nil {
			t.Error(err)
		}
	})
	t.Run("a living process", func(t *testing.T) {
		dir := etc(t)
		lock := filepath.Join(dir, "shadow.lock")
		if err := os.WriteFile(lock, fmt.Appendf(nil, "%d\x00", os.Getppid()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(dir); err == nil {
			t.Error("took another's lock")
		}
		if text(t, dir, "shadow.lock") == "" {
			t.Error("removed another's lock")
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "passwd.*")); len(names) != 0 {
			t.Errorf("left after giving up: %v", names)
		}
	})
	t.Run("a dead process", func(t *testing.T) {
		dir := etc(t)
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "passwd.lock"), fmt.Appendf(nil, "%d", cmd.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(dir); err != nil {
			t.Error(err)
		}
	})
	t.Run("a pid from before the reboot", func(t *testing.T) {
		dir := etc(t)
		lock := filepath.Join(dir, "group.lock")
		if err := os.WriteFile(lock, fmt.Appendf(nil, "%d", os.Getpid()), 0o600); err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-24 * time.Hour)
		if err := os.Chtimes(lock, past, past); err != nil {
			t.Fatal(err)
		}
		if err := open(dir); err != nil {
			t.Error(err)
		}
	})
}

func TestValid(t *testing.T) {
	for name, want := range map[string]bool{"alice": true, "_x": true, "A-b.c_9": true, "": false, "9a": false,
		"-a": false, "a b": false, "a:b": false, "a\n": false, "é": false, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false} {
		if Valid(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	for field, want := range map[string]bool{"Alice A.": true, "": true, "Zoë": true, "a:b": false, "a\nb": false, "\x7f": false} {
		if ValidField(field) != want {
			t.Errorf("field %q: %v", field, !want)
		}
	}
}
