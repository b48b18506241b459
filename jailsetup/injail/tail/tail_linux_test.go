package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestOnce: what a directory of logs looks like, with what jail root may have
// put into it.
func TestOnce(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a.log", "one\ntwo\nthree\n")
	put("unfinished", "one\ntwo")
	put("empty", "")
	put("long", strings.Repeat("x", 2*maxBack)+"\nend\n")
	if err := errors.Join(
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		os.Mkdir(filepath.Join(dir, "sub"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name   string
		paths  []string
		lines  int
		want   string
		passed string // contained in the reports
		err    error
	}{
		{"whole", []string{at("a.log")}, 0, "one\ntwo\nthree\n", "", nil},
		{"last line", []string{at("a.log")}, 1, "three\n", "", nil},
		{"more lines than there are", []string{at("a.log")}, 9, "one\ntwo\nthree\n", "", nil},
		{"last line is not finished", []string{at("unfinished")}, 1, "two", "", nil},
		{"empty", []string{at("empty")}, 1, "", "", nil},
		{"long line before the last", []string{at("long")}, 1, "end\n", "", nil},
		{"not there", []string{at("nothing")}, 0, "", "", ErrNothing},
		{"one of two is there", []string{at("nothing"), at("a.log")}, 1, "==> " + at("a.log") + " <==\nthree\n", "", nil},
		{"a link is not followed", []string{at("link")}, 0, "", "link: is a link", ErrNothing},
		{"a fifo is not waited for", []string{at("fifo")}, 0, "", "fifo: is no plain file", ErrNothing},
		{"a device", []string{"/dev/zero"}, 0, "", "/dev/zero: is no plain file", ErrNothing},
		{"a directory", []string{dir}, 1, "==> " + at("a.log") + " <==\nthree\n\n==> " + at("long") + " <==\nend\n\n==> " + at("unfinished") + " <==\ntwo", "fifo: is no plain file", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			var passed []string
			r := Reader{Paths: tt.paths, Lines: tt.lines, Out: &out, Report: func(err error) { passed = append(passed, err.Error()) }}
			ended := make(chan error, 1)
			go func() { ended <- r.Run(t.Context()) }()
			select {
			case err := <-ended:
				if !errors.Is(err, tt.err) {
					t.Fatalf("Run = %v, want %v", err, tt.err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("hangs")
			}
			if out.String() != tt.want || !strings.Contains(strings.Join(passed, "\n"), tt.passed) || tt.passed == "" && len(passed) > 0 {
				t.Errorf("said %.200q, want %.200q; passed over %q", out.String(), tt.want, passed)
			}
		})
	}
}

// said collects what a reader in another goroutine writes.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) await(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		got := s.buf.String()
		s.mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("said %q, want %q", got, want)
		}
	}
}

// TestFollow: what is added comes, through rotation by cutting and by
// renaming.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	add := func(text string, flag int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, text)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add("old\nnew\n", os.O_APPEND)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out said
	r := Reader{Paths: []string{path}, Lines: 1, Follow: true, Out: &out}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	out.await(t, "new\n")
	add("more\n", os.O_APPEND)
	out.await(t, "new\nmore\n")
	add("cut\n", os.O_TRUNC)
	out.await(t, "new\nmore\ncut\n")
	if err := os.Rename(path, path+".0"); err != nil {
		t.Fatal(err)
	}
	add("another file\n", os.O_EXCL)
	out.await(t, "new\nmore\ncut\nanother file\n")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
