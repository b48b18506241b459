package jail

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/protocol"
)

// TestReserveDisk: what can't be held is refused, what is there counts once.
func TestReserveDisk(t *testing.T) {
	s := defaults()
	s.State = t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(s.State, &st); err != nil {
		t.Fatal(err)
	}
	freeMiB := int(int64(st.Bavail) * st.Bsize >> 20)
	if freeMiB < 1000 {
		t.Fatalf("the test needs 1000 MiB in %s", s.State)
	}
	// Others use this file system too: half and a third are told apart.
	s.Limits.DiskMiB = freeMiB * 45 / 100
	h := &Host{Site: s, Log: slog.New(slog.DiscardHandler)}
	reserve := func(vnode string) (Record, error) {
		t.Helper()
		if err := os.MkdirAll(s.Dir(vnode), 0o700); err != nil {
			t.Fatal(err)
		}
		r := Record{VNode: vnode}
		err := h.reserveDisk(&r, Wish{})
		if err == nil {
			err = h.Site.Save(r)
		}
		return r, err
	}
	for _, vnode := range []string{"a", "b", "a"} {
		r, err := reserve(vnode)
		if err != nil || r.DiskBytes != int64(s.Limits.DiskMiB)<<20 {
			t.Fatalf("%s: %+v, %v", vnode, r, err)
		}
	}
	var short *SpaceError
	if r, err := reserve("c"); !errors.As(err, &short) || r.DiskBytes != 0 {
		t.Fatalf("the third: %+v, %v", r, err)
	}
	if room, err := h.Site.Room(); err != nil || room>>20 > int64(freeMiB)*15/100 {
		t.Errorf("room for %d MiB of %d, %v", room>>20, freeMiB, err)
	}
	// Another supervisor reads the same from the records.
	h = &Host{Site: s, Log: h.Log}
	if _, err := reserve("c"); !errors.As(err, &short) {
		t.Errorf("after a restart: %v", err)
	}
	small := Record{VNode: "c"}
	if err := h.reserveDisk(&small, Wish{Jail: protocol.JailConfig{VDSize: "0.01"}}); err != nil {
		t.Errorf("a small one: %v", err)
	}
	h.disks.forget("c")
	if err := os.RemoveAll(s.Dir("b")); err != nil {
		t.Fatal(err)
	}
	h.disks.forget("b")
	if _, err := reserve("c"); err != nil {
		t.Errorf("after another has gone: %v", err)
	}
	h.Site.Overcommit = true
	if _, err := reserve("d"); err != nil {
		t.Errorf("with overcommit: %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir("d"), "root.img"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := reserve("d"); err != nil || r.DiskBytes != 1<<20 {
		t.Errorf("a disk from before: %+v, %v", r, err)
	}
	if got := s.allocated("d"); got != 1<<20 {
		t.Errorf("it takes %d bytes", got)
	}
}
