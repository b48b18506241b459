package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestRootPassword: root has the password that tmcd says, until it says none;
// what was chosen inside stays where tmcd says nothing.
func TestRootPassword(t *testing.T) {
	j := newJail(t)
	for _, row := range []struct {
		name, config string
		chosen       string // a hash that somebody inside has set meanwhile
		want         string // root's hash then
		changes      int
	}{
		{"none", "SYSVIPC=1\n", "", "*", 0},
		{"set", "SYSVIPC=1\nROOTHASH=$1$a$one\n", "", "$1$a$one", 1},
		{"salted anew", "ROOTHASH=$1$b$one\n", "", "$1$b$one", 0},
		{"over one that was chosen", "ROOTHASH=$1$c$one\n", "$y$own", "$1$c$one", 1},
		{"no more", "SYSVIPC=1\n", "", "*", 1},
		{"chosen inside", "SYSVIPC=1\n", "$y$own", "$y$own", 0},
		{"set again", "ROOTHASH=$1$d$two\n", "", "$1$d$two", 1},
		{"no more, but chosen inside", "SYSVIPC=1\n", "$y$own", "$y$own", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.chosen != "" {
				lines := strings.SplitN(j.read("/etc/shadow"), "\n", 2)
				mustWrite(t, j.path("/etc/shadow"), "root:"+row.chosen+":19000:0:99999:7:::\n"+lines[1])
			}
			j.tmcd.set("jailconfig", row.config)
			r := step(t, j.boot(), "rootpassword")
			if r.Status == Failed || len(r.Changes) != row.changes {
				t.Errorf("%+v", r)
			}
			if got := strings.Split(j.read("/etc/shadow"), ":")[1]; got != row.want {
				t.Errorf("root's hash is %q, want %q", got, row.want)
			}
		})
	}
	t.Run("what can't stand in shadow", func(t *testing.T) {
		j.tmcd.set("jailconfig", "ROOTHASH=a:b\n")
		if r := step(t, j.boot(), "rootpassword"); r.Status != Failed || strings.Contains(j.read("/etc/shadow"), "a:b") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("reset", func(t *testing.T) {
		j.tmcd.set("jailconfig", "ROOTHASH=$1$e$three\n")
		j.boot()
		if st, err := os.Stat(j.path(rootRecord)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the record: %v, %v", st, err)
		}
		if _, err := j.Do(context.Background(), Reset); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(j.read("/etc/shadow"), ":")[1]; got != "*" {
			t.Errorf("root's hash is %q", got)
		}
		if _, err := os.Stat(j.path(rootRecord)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the record: %v", err)
		}
	})
}
