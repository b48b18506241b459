package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.log")
	writer, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	r := rotation{size: 5, keep: 2}
	for _, text := range []string{"first", "second", "third", "4th"} { // the last is too small
		if _, err := writer.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := r.rotate(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"x.log": "4th", "x.log.0": "third", "x.log.1": "second"} {
		if got := read(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%v, %v; want three files", left, err)
	}
	if st, err := os.Stat(path + ".0"); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode of the old file: %v, %v", st.Mode(), err)
	}
}

func TestRotateLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte(strings.Repeat("x", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.log")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dir + "/none.log", dir} {
		if err := (rotation{size: 1, keep: 1}).rotate(path); err != nil && path != dir {
			t.Errorf("rotate %s: %v", path, err)
		}
	}
	if got := read(t, target); len(got) != 100 {
		t.Errorf("the link's target has %d bytes left", len(got))
	}
}

func TestRotateMain(t *testing.T) {
	for args, want := range map[string]int{"-keep 0 x": exitUsage, "-no": exitUsage, "/no/such/file": exitOK, "-h": exitOK} {
		if got := rotateMain(strings.Fields(args)); got != want {
			t.Errorf("logrotate %s: exit %d, want %d", args, got, want)
		}
	}
}
