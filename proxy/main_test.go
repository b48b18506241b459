package proxy

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"emujail/proxy/control"
)

// childMode makes this test binary another program: with "free" and "confined"
// a proxy under a supervisor, the test; with "caller" one that asks what
// PROXY_TEST_REQUEST says at the socket PROXY_TEST_PATH; with "knock" one that wants
// to be the next supervisor there.
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
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // its machinery stays
	if err := leaked(files, goroutines); code == 0 && err != nil && !fuzzing {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func child(mode string) error {
	if mode == "caller" {
		return call(os.Getenv("PROXY_TEST_PATH"), os.Getenv("PROXY_TEST_REQUEST"))
	}
	if mode == "knock" {
		conn, err := control.Dial(context.Background(), os.Getenv("PROXY_TEST_PATH"))
		if err == nil {
			_, _, err = conn.Receive(context.Background())
		}
		return err
	}
	if err, done := privilegedChild(mode); done {
		return err
	}
	if mode == "few" {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: fewFiles, Max: fewFiles}); err != nil {
			return err
		}
	}
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

// call asks, and prints the answer. Between connect and request it waits for
// its standard input to end.
func call(path, request string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	reply, err := io.ReadAll(conn)
	fmt.Printf("%s", reply)
	return err
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
