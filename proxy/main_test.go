package proxy

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"emujail/proxy/control"
)

// childMode makes this test binary a proxy under a supervisor, the test: its
// value is "free" or "confined".
const childMode = "PROXY_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := child(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	files, goroutines := openFiles(), runtime.NumGoroutine()
	code := m.Run()
	if err := leaked(files, goroutines); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func child(mode string) error {
	conn, err := control.NewConn(os.NewFile(3, "control"))
	if err != nil {
		return err
	}
	o := Options{Control: conn}
	if mode == "confined" {
		o.Confine = func() (*os.File, error) { return Confine(User, User) }
	}
	return Serve(context.Background(), o)
}

// leaked waits a little for what is on its way out.
func leaked(files, goroutines int) error {
	var nowFiles, now int
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		nowFiles, now = openFiles(), runtime.NumGoroutine()
		if nowFiles <= files+2 && now <= goroutines { // epoll and its eventfd stay
			return nil
		}
	}
	buf := make([]byte, 1<<16)
	buf = buf[:runtime.Stack(buf, true)]
	return fmt.Errorf("leaked: %d descriptors before, %d after; %d goroutines before, %d after\n%s", files, nowFiles, goroutines, now, buf)
}

// openFiles counts descriptors; 0 where that isn't known.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
