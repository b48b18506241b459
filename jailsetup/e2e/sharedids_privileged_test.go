//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lent is a directory of the host's as a jail has it.
type lent struct{ host, inside string }

// TestSharesKeepIDs: in a user's directory, a project's and its local store a uid
// is the same on both sides (jail.md §2.6), but for the system's: what the host's
// root owns is nobody's inside, and the jail's root can't touch it (S19). No device
// and no set-user-id program in them works (S16).
func TestSharesKeepIDs(t *testing.T) {
	r, people := sharing(t)
	r.startServe()
	r.startMock()
	v := r.vnodes[0]
	r.boot(v)
	for _, d := range []lent{
		{filepath.Join(people, "users/alice"), "/users/alice"},
		{filepath.Join(people, "proj/jails"), "/proj/jails"},
		{r.store(), "/local/jails"},
	} {
		t.Run(strings.TrimPrefix(d.inside, "/"), func(t *testing.T) {
			t.Run("ids", func(t *testing.T) { r.sameIDsIn(t, v, d) })
			t.Run("the host's root's", func(t *testing.T) { r.rootsStays(t, v, d) })
			t.Run("devices and programs", func(t *testing.T) { r.nothingWorksIn(t, v, d) })
		})
	}
	t.Run("without the map", func(t *testing.T) { r.mappedWhole(t, v, filepath.Join(people, "proj/jails")) })
}

// sameIDsIn wants files to have one owner, whoever of both sides makes them.
func (r *rig) sameIDsIn(t *testing.T, v string, d lent) {
	r.must("enter", "-T", "-u", "alice", v, "sh", "-c", "echo mine >"+d.inside+"/made")
	if got := owned(filepath.Join(d.host, "made")); !strings.HasSuffix(got, " 10001:6001") {
		t.Errorf("alice's file is %s on the host", got)
	}
	for _, row := range []struct{ id, inside int }{
		{10001, 10001}, {1000, 1000}, {65535, 65535}, {999, 65534}, {0, 65534}, {65536, 65534}, {1 << 24, 65534},
	} {
		path := filepath.Join(d.host, fmt.Sprint("of-", row.id))
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o644), os.Chown(path, row.id, row.id)); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%d:%d\n", row.inside, row.inside)
		if got := r.enter(v, "stat", "-c", "%u:%g", d.inside+"/"+filepath.Base(path)); got != want {
			t.Errorf("%d's file is %q inside, want %q", row.id, got, want)
		}
	}
	// What the jail's root gives away arrives with the same id; nothing can be made
	// the system's, nor left by the jail's root in its own name.
	r.enter(v, "chown", "10002:6002", d.inside+"/made")
	if got := owned(filepath.Join(d.host, "made")); !strings.HasSuffix(got, " 10002:6002") {
		t.Errorf("given to 10002 it is %s on the host", got)
	}
	for _, line := range []string{"chown 0 made", "chown 999 made", "touch roots", "mkdir roots"} {
		if out := r.jailsetup("enter", "-T", v, "sh", "-c", "cd "+d.inside+" && "+line); out.code == 0 {
			t.Errorf("%s succeeds", line)
		}
	}
}

// touches are what the jail's people and its root try on a file of the host's root, in a
// directory that is its people's.
var touches = []string{
	"echo jail >file", "echo jail >>file", "truncate -s 0 file", "chmod 666 file", "chown 10001 file", "touch -d 2001-01-01 file",
	"rm -f file", "mv file away", "ln file hard", "echo jail >other && mv -f other file", "setcap cap_chown+ep file",
	"rmdir dir", "mv dir away", "chmod 777 dir", "touch dir/new",
}

// rootsStays wants what the host's root owns there to be as it was.
func (r *rig) rootsStays(t *testing.T, v string, d lent) {
	file, dir := filepath.Join(d.host, "file"), filepath.Join(d.host, "dir")
	if err := errors.Join(os.WriteFile(file, []byte("host's\n"), 0o644), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	before := owned(file) + owned(dir)
	for _, user := range []string{"alice", "root"} { // root finds what alice has made
		for _, line := range touches {
			out := r.jailsetup("enter", "-T", "-u", user, v, "sh", "-c", "PATH=$PATH:/sbin; cd "+d.inside+" && { "+line+"; }")
			if out.code == 0 || out.code == 127 {
				t.Errorf("%s, %s: exit code %d: %s", user, line, out.code, out.stderr)
			}
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "host's\n" || owned(file)+owned(dir) != before {
		t.Errorf("the file says %q (%v), they are %s%s, were %s", text, err, owned(file), owned(dir), before)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("in the directory there is %v (%v)", left, err)
	}
}

// nothingWorksIn wants devices there to be dead, and set-user-id programs to run as
// whoever runs them.
func (r *rig) nothingWorksIn(t *testing.T, v string, d lent) {
	null := filepath.Join(d.host, "null")
	if err := errors.Join(unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), os.Chmod(null, 0o666), os.Chown(null, 10001, 6001)); err != nil {
		t.Fatal(err)
	}
	if out := r.jailsetup("enter", "-T", v, "cat", d.inside+"/null"); out.code == 0 || !strings.Contains(out.stderr, "ermission denied") {
		t.Errorf("a device: exit code %d: %s", out.code, out.stderr)
	}
	r.must("enter", "-T", "-u", "alice", v, "sh", "-c", "for d in "+d.inside+" /var/tmp; do cp /usr/bin/id $d/id && chmod 4755 $d/id || exit; done")
	as := func(dir string) string { return r.must("enter", "-T", "-u", "nobody", v, dir+"/id", "-u") }
	if got := as(d.inside); got != "65534\n" {
		t.Errorf("alice's program, set-user-id, runs as %q", got)
	}
	if got := as("/var/tmp"); got != "10001\n" {
		t.Errorf("on the jail's own disk it runs as %q: nothing is shown", got)
	}
}

// mappedWhole: with a map that leaves nothing out the same attacks succeed.
func (r *rig) mappedWhole(t *testing.T, v, dir string) {
	file := filepath.Join(dir, "file")
	r.attachMapped(t, v, dir, "/mnt", 0)
	defer r.detach(t, v, "/mnt")
	r.enter(v, "sh", "-c", "cd /mnt && echo jail >file && chmod 666 file && touch dir/new")
	if text, err := os.ReadFile(file); err != nil || string(text) != "jail\n" || owned(file) != "-rw-rw-rw- 0:0" {
		t.Errorf("the file says %q (%v), it is %s", text, err, owned(file))
	}
	r.enter(v, "rm", "/mnt/file")
	if got := owned(file); !strings.Contains(got, "no such file") {
		t.Errorf("removed, it is %s", got)
	}
}
