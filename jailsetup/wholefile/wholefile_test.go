package wholefile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// writerOf makes a test process one that writes the file named, until it is
// killed.
const writerOf = "WHOLEFILE_TEST_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerOf); path != "" {
		for b := byte('a'); ; b = 'a' + (b-'a'+1)%26 {
			if err := Write(path, bytes.Repeat([]byte{b}, 1<<20), 0o600); err != nil {
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// TestWriterKilled: while a writer is at work, and after it was killed, the file
// is whole, and the next writer isn't hindered by what is left.
func TestWriterKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	whole := func() bool {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		if len(data) != 1<<20 || bytes.Count(data, data[:1]) != len(data) {
			t.Fatalf("a file of %d bytes isn't whole", len(data))
		}
		return true
	}
	for range 10 {
		writer := exec.Command("/proc/self/exe")
		writer.Env = append(os.Environ(), writerOf+"="+path)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		for seen, deadline := 0, time.Now().Add(10*time.Second); seen < 20; {
			if whole() {
				seen++
			} else if time.Now().After(deadline) {
				t.Fatal("nothing was written")
			}
		}
		writer.Process.Kill()
		writer.Wait()
		if !whole() {
			t.Fatal("it is gone")
		}
	}
	if err := WriteSynced(path, []byte("the last\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "the last\n" {
		t.Errorf("read %q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestNothingLeft: a file that can't be replaced is as it was, and nothing lies
// beside it.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "by a directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if list, _ := filepath.Glob(dir + "/*"); len(list) != 1 {
		t.Errorf("beside it lies %q", list)
	}
}
