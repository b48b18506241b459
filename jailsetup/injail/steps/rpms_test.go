package steps

import (
	"os"
	"testing"
)

// TestPackages: with tools that note how they are called, in place of the
// root's own.
func TestPackages(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	j := newJail(t)
	for _, tool := range []string{"rpm", "apt-get"} {
		script := "#!/bin/sh\nfor last; do :; done\necho " + tool + " $1 $2 $(cat $last) >>" + j.path("/ran") + "\ngrep -q broken $last && exit 1 || exit 0\n"
		mustWrite(t, bin+"/"+tool, script)
		if err := os.Chmod(bin+"/"+tool, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, j.path("/proj/a.rpm"), "one")
	mustWrite(t, j.path("/proj/b.deb"), "two")
	mustWrite(t, j.path("/proj/c.rpm"), "broken")
	j.tmcd.set("rpms", "SERVER=fs USEWEB=0 RPM=/proj/a.rpm\nSERVER=fs USEWEB=0 RPM=/proj/b.deb\nSERVER=fs USEWEB=0 RPM=/proj/c.rpm\n")
	if r := step(t, j.boot(), "rpms"); r.Status != Failed || len(r.Changes) != 2 {
		t.Errorf("%+v", r)
	}
	want := "rpm --upgrade --force one\napt-get install --yes two\nrpm --upgrade --force broken\n"
	if got := j.read("/ran"); got != want {
		t.Errorf("ran\n%swant\n%s", got, want)
	}
	j.boot() // what failed is tried again, the rest is done
	if got := j.read("/ran"); got != want+"rpm --upgrade --force broken\n" {
		t.Errorf("second boot: ran\n%s", got)
	}
}
