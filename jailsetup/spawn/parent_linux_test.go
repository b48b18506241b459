package spawn

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deaf is a program that neither reads nor ends, beside another one that has
// its standard error and outlives it; whose number is in the file held.
const deaf = `#!/bin/sh
/bin/sleep 300 </dev/null >/dev/null &
echo $! >"$0.new" && /bin/mv "$0.new" "$0.held"
exec /bin/sleep 300
`

// Who is given up, and hears nobody, holds nobody up, nor does what it leaves.
func TestAbortEnds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "deaf")
	if err := os.WriteFile(program, []byte(deaf), 0o755); err != nil {
		t.Fatal(err)
	}
	j, err := Ready(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.program.Process.Kill() })
	left := pidIn(t, program+".held")
	t.Cleanup(func() { syscall.Kill(left, syscall.SIGKILL) })
	done := make(chan error, 1)
	go func() { done <- j.Abort() }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was killed, and is said to have ended well")
		}
	case <-time.After(time.Minute):
		t.Error("still there after a minute")
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
