//go:build linux && privileged

package leftover

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSees: what is made shows up as left, in its kind, and is gone when it is
// taken away; what the scope leaves out doesn't show.
func TestSees(t *testing.T) {
	dir := t.TempDir()
	ours := func(path string) bool { return strings.HasPrefix(path, dir+"/") }
	s := Scope{Mount: ours, Backing: ours, Socket: ours, Listener: func(string) bool { return false }}
	socket, point := filepath.Join(dir, "socket"), filepath.Join(dir, "point")
	before, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := unix.Mkdir(point, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", point, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	defer func() {
		if mounted {
			_ = unix.Unmount(point, 0)
		}
	}()
	now, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	told := before.Diff(now)
	for _, want := range []string{"sockets: left: " + socket, "mounts: left: / " + point} {
		if told == nil || !strings.Contains(told.Error(), want) {
			t.Errorf("the difference is %v, want %s", told, want)
		}
	}
	none := func(string) bool { return false }
	for name, row := range map[string]struct {
		scope Scope
		line  string // of the host's own there may be others
	}{"mounts": {Scope{Mount: none, Socket: ours}, "/ " + point}, "sockets": {Scope{Mount: ours, Socket: none}, socket}} {
		if l, err := row.scope.List(); err != nil || slices.Contains(l[name], row.line) {
			t.Errorf("%s that don't count: %v, %v", name, l[name], err)
		}
		if !slices.Contains(now[name], row.line) {
			t.Errorf("%s: %v, want %q among them", name, now[name], row.line)
		}
	}
	if err := unix.Unmount(point, 0); err != nil {
		t.Fatal(err)
	}
	mounted = false
	l.Close()
	if now, err = s.List(); err != nil {
		t.Fatal(err)
	}
	if told := before.Diff(now); told != nil {
		t.Errorf("taken away again, and yet: %v", told)
	}
}
