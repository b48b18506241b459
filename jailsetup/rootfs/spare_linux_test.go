package rootfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestSpare: the next disk is the spare, once; after that, and without one, it is
// a clone all the same.
func TestSpare(t *testing.T) {
	dir := t.TempDir()
	made := Made{Image: filepath.Join(dir, "a.img")}
	want := bytes.Repeat([]byte("disk"), 5000)
	if err := os.WriteFile(made.Image, want, 0o600); err != nil {
		t.Fatal(err)
	}
	spare := sparePath(made.Image)
	there := func() bool {
		_, err := os.Lstat(spare)
		return err == nil
	}
	disk := func(name string) string {
		t.Helper()
		i := Image{Template: made.Image, Path: filepath.Join(dir, name)}
		if err := i.Do(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(i.Path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("disk %s is not the template's copy (%d bytes, %v)", name, len(got), err)
		}
		return i.Path
	}
	var k Keeper
	disk("first")
	for range 2 {
		if err := k.Spare(t.Context(), made); err != nil || !there() {
			t.Fatalf("no spare: %v", err)
		}
	}
	second := disk("second")
	if there() {
		t.Error("a spare that was taken is still there")
	}
	if err := os.Link(second, spare); err != nil {
		t.Fatal(err)
	}
	third := disk("third")
	one, _ := os.Stat(second)
	two, _ := os.Stat(third)
	if os.SameFile(one, two) {
		t.Error("two jails have one disk")
	}
	k.Close()
	if err := k.Spare(t.Context(), made); err != nil || there() {
		t.Errorf("a spare after the end: %v", err)
	}
}
