//go:build linux && privileged

package passwd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// crashEnv makes the test binary the victim: it edits the directory it names.
const crashEnv = "PASSWD_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		runtime.LockOSThread() // strace counts the calls of each thread apart
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim changes all four files: one user comes, one goes.
func victim(dir string) error {
	db, err := Open(context.Background(), dir)
	if err != nil {
		return err
	}
	db.SetGroup(Group{Name: "jails", GID: 6001})
	db.SetUser(User{"alice", 2001, 6001, "Alice", "/users/alice", "/bin/sh"}, "$6$secret")
	db.AddMember("staff", "alice")
	db.DeleteUser("old")
	if _, err := db.Save(); err != nil {
		return err
	}
	return db.Close()
}

// TestKilledAtEachWrite kills the editor at its first, second, … system call
// that changes a file, until it survives. Whatever is left must be whole: each
// of the four files is the old text or the new, never both nor half; a user is
// there only with its hash; and the next editor isn't locked out.
func TestKilledAtEachWrite(t *testing.T) {
	kills := 0
	for _, call := range strings.Fields("write renameat linkat unlinkat fchmod fchown fsync openat") {
		kills += killAtEach(t, call)
	}
	if kills < 50 {
		t.Errorf("killed %d times only: is strace at work?", kills)
	}
}

// killAtEach kills at the first, second, … of one system call, and returns how
// often there was one. strace counts each kind of call apart.
func killAtEach(t *testing.T, call string) (kills int) {
	for n := 1; ; n++ {
		if n > 500 {
			t.Fatalf("%s: still not through after 500 calls", call)
		}
		dir := etc(t)
		before := texts(t, dir)
		if survived(t, dir, call, n) {
			return kills
		}
		kills++
		checkWhole(t, dir, before, fmt.Sprintf("%s %d", call, n))
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		db, err := Open(ctx, dir)
		stop()
		if err != nil {
			t.Fatalf("killed at %s %d: the next one is locked out: %v", call, n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, dir, func(*DB) {})
		if err := victim(dir); err != nil {
			t.Fatalf("killed at %s %d: not finished by the next run: %v", call, n, err)
		}
		if got := texts(t, dir); !strings.Contains(got["passwd"], "alice:x:2001") || strings.Contains(got["passwd"], "old:") {
			t.Errorf("killed at %s %d: the next run leaves\n%s", call, n, got["passwd"])
		}
	}
}

// survived runs the victim under strace, which kills it as it enters its n-th
// changing system call.
func survived(t *testing.T, dir, call string, n int) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n), self)
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("strace: %v", err)
	}
	if err != nil && len(out) > 0 {
		t.Fatalf("victim: %v: %s", err, out)
	}
	return err == nil
}

func texts(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"passwd", "shadow", "group", "gshadow"} {
		all[name] = text(t, dir, name)
	}
	return all
}

func checkWhole(t *testing.T, dir string, before map[string]string, at string) {
	t.Helper()
	clean := etc(t)
	if err := victim(clean); err != nil {
		t.Fatal(err)
	}
	after := texts(t, clean)
	now := texts(t, dir)
	for name, got := range now {
		if got != before[name] && got != after[name] {
			t.Errorf("killed at %s: %s is neither old nor new:\n%s", at, name, got)
		}
	}
	if strings.Contains(now["passwd"], "alice:") && !strings.Contains(now["shadow"], "alice:$6$secret:") {
		t.Errorf("killed at %s: alice without her hash", at)
	}
	if st, err := os.Stat(filepath.Join(dir, "shadow")); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("killed at %s: shadow: %v %v", at, st.Mode(), err)
	}
	if loose, err := filepath.Glob(filepath.Join(dir, "shadow+")); err == nil && len(loose) == 1 {
		if st, err := os.Stat(loose[0]); err == nil && st.Mode().Perm()&0o007 != 0 {
			t.Errorf("killed at %s: the new shadow can be read by others", at)
		}
	}
}
