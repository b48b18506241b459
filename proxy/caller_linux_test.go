package proxy

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// doorAndCaller are a socket as a supervisor hands it over, and who came by it.
func doorAndCaller(t *testing.T) (net.Listener, *net.UnixConn, net.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	d, err := newDoor(ln)
	if err != nil {
		t.Fatal(err)
	}
	theirs := dial(t, path)
	ours, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); theirs.Close(); ours.Close() })
	return d, theirs, ours
}

// A caller's end reaches whoever is at it, at whatever, and nobody uses its
// descriptor's number afterwards.
func TestCallerEnds(t *testing.T) {
	for name, begin := range map[string]func(net.Conn) error{
		"nobody waited": func(c net.Conn) error { return nil },
		"somebody did": func(c net.Conn) error {
			c.SetReadDeadline(time.Now().Add(-time.Second))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			return c.SetReadDeadline(time.Time{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, theirs, ours := doorAndCaller(t)
			if err := begin(ours); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := ours.Read(make([]byte, 1))
				ended <- err
			}()
			if err := ours.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Error("a read ended well")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("a read goes on after Close")
			}
			if _, err := theirs.Read(make([]byte, 1)); err == nil {
				t.Error("the other side hears nothing of the end")
			}
			held, err := hold(ours)
			if err != nil {
				t.Fatal(err)
			}
			used := held.raw.Control(func(uintptr) { t.Error("the number is used after Close") })
			if !errors.Is(used, net.ErrClosed) || !errors.Is(ours.Close(), net.ErrClosed) {
				t.Errorf("after Close: %v, %v", used, ours.Close())
			}
			if n := sendNow(ours, []byte("x")); n != 0 {
				t.Errorf("%d bytes sent after Close", n)
			}
		})
	}
}

func TestDoorEnds(t *testing.T) {
	d, _, _ := doorAndCaller(t)
	ended := make(chan error, 1)
	go func() {
		_, err := d.Accept()
		ended <- err
	}()
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := d.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
}

// Who shares the socket makes it block: the look for a caller doesn't.
func TestDoorNeverBlocks(t *testing.T) {
	d, _, _ := doorAndCaller(t)
	looked := make(chan syscall.Errno, 1)
	go d.(*door).raw.Control(func(fd uintptr) {
		syscall.SetNonblock(int(fd), false)
		_, errno := acceptNow(fd)
		looked <- errno
	})
	select {
	case errno := <-looked:
		if errno != syscall.EAGAIN {
			t.Errorf("nobody is there: %v", errno)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the socket blocks")
	}
}
