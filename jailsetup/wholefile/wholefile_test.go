package wholefile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writerOf makes a test process one that writes the file named, until it is
// killed.
const writerOf = "WHOLEFILE_TEST_PATH"

// fullAt makes it one whose files can't grow beyond a few bytes, which writes the
// file named once.
const fullAt = "WHOLEFILE_TEST_FULL"

func TestMain(m *testing.M) {
	if path := os.Getenv(fullAt); path != "" {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4, Max: 4}); err != nil {
			os.Exit(2)
		}
		if err := WriteSynced(path, []byte("new and longer"), 0o600); errors.Is(err, unix.EFBIG) {
			os.Exit(0)
		}
		os.Exit(1)
	}
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
	if info, err := os.Stat(path); err != nil {
		t.Error(err)
	} else if info.Mode() != 0o640 {
		t.Error(info.Mode())
	}
}

// TestFull: where nothing more fits the file is as it was, and nothing lies
// beside it.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	writer := exec.Command("/proc/self/exe")
	writer.Env = append(os.Environ(), fullAt+"="+path)
	if out, err := writer.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "the old one" {
		t.Errorf("read %q, %v", data, err)
	}
	if list, _ := filepath.Glob(dir + "/*"); len(list) != 1 {
		t.Errorf("beside it lies %q", list)
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
