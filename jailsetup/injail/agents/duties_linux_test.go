package agents

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a program says last is told, and of what it says before no more is kept
// than a few lines take.
func TestCarryOut(t *testing.T) {
	for _, row := range []struct{ name, script, want string }{
		{"done", "echo all well", ""},
		{"failed", "echo one; echo two >&2; exit 3", "exit status 3: two"},
		{"silent", "exit 3", "exit status 3: "},
		{"without end", "yes | head -c 1000000; echo last; exit 3", "exit status 3: last"},
	} {
		got := ""
		if err := carryOut(t.Context(), "/bin/sh", "-c", row.script); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	var w lastWords
	for range 100 {
		if n, err := w.Write(make([]byte, 1000)); n != 1000 || err != nil || len(w.text) > maxLastWords {
			t.Fatalf("%d bytes of 1000 written, %d kept: %v", n, len(w.text), err)
		}
	}
}

// hangs is a program that doesn't end, beside another one that has its output and
// outlives it; whose number it leaves in the file $1.
const hangs = `echo begun; trap '' TERM
sleep 60 & echo $! >"$1.new" && mv "$1.new" "$1"
while :; do sleep 0.01; done`

// A program that doesn't end is ended, and doesn't hold us up by what it has
// started.
func TestCarryOutBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- carryOut(ctx, "/bin/sh", "-c", hangs, "sh", file) }()
	left := pidIn(t, file)
	t.Cleanup(func() { syscall.Kill(left, syscall.SIGKILL) })
	cancel(late)
	select {
	case err := <-done:
		if !errors.Is(err, late) || !strings.HasSuffix(err.Error(), ": begun") {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(40 * time.Second):
		t.Error("it holds us up")
	}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestRootPasswords: root gets the host's password, but not where the node has one
// of its own.
func TestRootPasswords(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n", "shadow": "root:*:1:0:99999:7:::\n", "gshadow": "root:*::\n",
	} {
		path := filepath.Join(root, "etc", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a := &agents{paths: Below(root)}
	for _, row := range []struct {
		hash string
		own  bool // the node's own password is set
		want string
	}{{"$1$a$host", false, "root:$1$a$host:"}, {"$1$b$other", true, "root:$1$a$host:"}} {
		if row.own {
			path := filepath.Join(root, RootRecord)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.setRootHash(t.Context(), row.hash); err != nil {
			t.Fatal(err)
		}
		if shadow, err := os.ReadFile(filepath.Join(root, "etc/shadow")); err != nil || !strings.HasPrefix(string(shadow), row.want) {
			t.Errorf("own %t: %q, %v", row.own, shadow, err)
		}
	}
}
