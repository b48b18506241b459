package reap_test

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/injail/reap"
)

// collecting returns a Reaper whose Collect is called as PID 1 does.
func collecting(t *testing.T) *reap.Reaper {
	t.Helper()
	r, died, stop := reap.New(), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(died, syscall.SIGCHLD)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-died:
				r.Collect()
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		signal.Stop(died)
		close(stop)
		wg.Wait()
	})
	return r
}

func sh(script string) reap.Process {
	return reap.Process{Path: "/bin/sh", Argv: []string{"sh", "-c", script}}
}

func done(t *testing.T, c *reap.Child) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("process %d was never collected", c.PID)
	}
}

func TestCodes(t *testing.T) {
	r := collecting(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "kill -TERM $$": 143} {
		c, err := r.Start(sh(script))
		if err != nil {
			t.Fatal(err)
		}
		done(t, c)
		if got := c.Code(); got != want {
			t.Errorf("%s: code %d, want %d", script, got, want)
		}
	}
}

// TestManyAtOnce: deaths that share one signal are all seen, by their owners.
func TestManyAtOnce(t *testing.T) {
	r := collecting(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				c, err := r.Start(reap.Process{Path: "/bin/sh", Argv: []string{"sh", "-c", "exit $0", string(rune('0' + i))}})
				if err != nil {
					t.Error(err)
					return
				}
				<-c.Done()
				if c.Code() != i {
					t.Errorf("code %d, want %d", c.Code(), i)
				}
			}
		})
	}
	wg.Wait()
}

func TestStartFails(t *testing.T) {
	r := collecting(t)
	if _, err := r.Start(reap.Process{Path: "/no/such", Argv: []string{"x"}}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("missing program: %v, want ENOENT", err)
	}
	if _, err := r.Start(reap.Process{Path: "/bin/sh", Argv: []string{"x"}, Dir: "/no/such"}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("missing directory: %v, want ENOENT", err)
	}
	r.Close()
	if _, err := r.Start(sh("true")); !errors.Is(err, reap.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}
