package lazysock

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a socket and the other end of it, a number.
func pair(t *testing.T) (*Socket, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	return New(fds[0], "test"), fds[1]
}

// TestCloseEndsWaits: whoever waits hears of the close; it is once.
func TestCloseEndsWaits(t *testing.T) {
	for name, wait := range map[string]func(*Socket) error{
		"nobody waits": func(*Socket) error { return net.ErrClosed },
		"Read":         func(s *Socket) error { _, err := s.Read(make([]byte, 1)); return err },
		"its RawConn":  func(s *Socket) error { return s.Raw().Read(func(uintptr) bool { return false }) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := pair(t)
			ended := make(chan error, 1)
			go func() { ended <- wait(s) }()
			time.Sleep(10 * time.Millisecond) // it should wait by now, and if not, that is another way to pass
			if err := s.CloseBy(syscall.Close); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("who waits hears of no end")
			}
			if err := s.CloseBy(syscall.Close); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed again: %v", err)
			}
			if err := s.Now(func(uintptr) { t.Error("used after its end") }); !errors.Is(err, net.ErrClosed) {
				t.Errorf("used: %v", err)
			}
		})
	}
}

// TestWaits: what came before anybody waited isn't missed, nor what comes later;
// a deadline ends a wait.
func TestWaits(t *testing.T) {
	s, other := pair(t)
	defer s.CloseBy(syscall.Close)
	unix.Write(other, []byte("early"))
	buf := make([]byte, 10)
	if n, err := s.Read(buf); string(buf[:n]) != "early" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		unix.Write(other, []byte("late"))
	}()
	if n, err := s.Read(buf); string(buf[:n]) != "late" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
}
