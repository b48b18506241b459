package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRotateLog: a log is begun anew when it is long, and only if it is ours.
func TestRotateLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serve.log")
	ours, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	child, err := unix.Dup(int(ours.Fd())) // what a process started before has
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	rotate := func() {
		t.Helper()
		if err := rotateLog(path, int(ours.Fd()), 100); err != nil {
			t.Fatal(err)
		}
	}
	has := func(name string, want int) {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() != int64(want) {
			t.Errorf("%s: %v, %v; want %d bytes", name, info, err, want)
		}
	}
	fmt.Fprint(ours, strings.Repeat("x", 100))
	rotate()
	has("serve.log", 100)
	fmt.Fprint(ours, "y")
	rotate()
	has("serve.log", 0)
	has("serve.log.0", 101)
	fmt.Fprint(ours, "new")
	has("serve.log", 3)
	for range 2 {
		if _, err := unix.Write(child, []byte(strings.Repeat("z", 50))); err != nil {
			t.Fatal(err)
		}
		rotate()
	}
	has("serve.log.0", 0) // 201 bytes were twice too many
	if _, err := unix.Write(child, []byte("z")); err != nil {
		t.Fatal(err)
	}
	has("serve.log.0", 1)

	if err := os.WriteFile(path+".other", []byte(strings.Repeat("x", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rotateLog(path+".other", int(ours.Fd()), 100); err != nil {
		t.Fatal(err)
	}
	has("serve.log.other", 200)
	if err := rotateLog(path+".none", int(ours.Fd()), 100); err != nil {
		t.Errorf("no log: %v", err)
	}
}
