package peer

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serving runs Serve until the test ends, and gives what it takes and fails by.
func serving(t *testing.T, ctx context.Context) (path string, taken chan Conn, failed chan error, end func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	taken, failed = make(chan Conn, 1), make(chan error, 100)
	var served sync.WaitGroup
	served.Go(func() { Serve(ctx, l, func(err error) { failed <- err }, func(c Conn) { taken <- c }) })
	end = sync.OnceFunc(func() { l.Close(); served.Wait() })
	t.Cleanup(end)
	return path, taken, failed, end
}

func TestWhoConnected(t *testing.T) {
	path, taken, _, _ := serving(t, t.Context())
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := <-taken
	defer got.Close()
	if got.PID != os.Getpid() || got.UID != uint32(os.Getuid()) {
		t.Errorf("process %d of user %d, want %d of %d", got.PID, got.UID, os.Getpid(), os.Getuid())
	}
}

// TestNoDescriptors: an accept that fails in passing is told, and what waits is
// taken in when it has passed.
func TestNoDescriptors(t *testing.T) {
	path, taken, failed, _ := serving(t, t.Context())
	restore := connectWithout(t, path)
	<-failed
	restore()
	c := <-taken
	defer c.Close()
	if c.PID != os.Getpid() {
		t.Errorf("process %d, want %d", c.PID, os.Getpid())
	}
}

// TestPauseEnds: the end of ctx, not that of the pause, ends the waiting.
func TestPauseEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path, _, failed, end := serving(t, ctx)
	restore := connectWithout(t, path)
	defer restore()
	for range 9 { // now it pauses for its longest
		<-failed
	}
	cancel()
	begun := time.Now()
	end()
	if took := time.Since(begun); took > longestPause/2 {
		t.Errorf("ended after %s", took)
	}
}

// connectWithout connects to path while this process has no descriptor for the
// other end, until restore is called.
func connectWithout(t *testing.T, path string) (restore func()) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	free, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(free)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return restore
}
