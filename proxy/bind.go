package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"emujail/tmcc/client"
)

// listen opens the sockets that Options name.
func (s *server) listen() ([]Listener, error) {
	all := s.o.Listeners
	switch {
	case s.o.Path != "" && s.o.Inet.IsValid():
		return nil, errors.New("either a path or an address, not both")
	case s.o.Path != "":
		ln, err := Bind(s.o.Path)
		if err != nil {
			return nil, err
		}
		all = append(all, Listener{VNode: s.o.VNode, Socket: ln})
	case s.o.Inet.IsValid():
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(s.o.Inet))
		if err != nil {
			return nil, err
		}
		all = append(all, Listener{VNode: s.o.VNode, Socket: ln})
	}
	return all, nil
}

func closeListeners(list []Listener) error {
	var errs []error
	for _, l := range list {
		errs = append(errs, l.Socket.Close())
	}
	return errors.Join(errs...)
}

// A boundSocket is a socket at a path that this process made, with the lock
// that makes the path its own.
type boundSocket struct {
	*net.UnixListener
	path string
	made os.FileInfo
	lock *os.File
	once sync.Once
}

// Bind makes a unix socket at path that everybody may connect to (mode 0777).
// A file path+".lock" beside it is locked as long as the socket lives, so that
// one process serves a path; it stays behind. What a dead process left at path
// is replaced, in one step: at no time is there nothing, nor a socket with
// another mode. Anything else at path than a socket is an error.
//
// The directory must be the caller's own: who may write there can put another
// socket in its place.
func Bind(path string) (net.Listener, error) {
	if len(path) > client.MaxUnixPath {
		return nil, fmt.Errorf("bind %s: %d bytes, at most %d fit", path, len(path), client.MaxUnixPath)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	b, err := bindLocked(path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	b.lock = lock
	return b, nil
}

// lockFile takes the lock without waiting.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var lockErr error
	err = raw.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	if errors.Is(lockErr, syscall.EWOULDBLOCK) {
		lockErr = errors.New("another process serves this path")
	}
	if err := errors.Join(err, lockErr); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// bindLocked binds in a directory that nobody else can enter, sets the mode,
// and moves the socket to its place.
func bindLocked(path string) (_ *boundSocket, err error) {
	if err := checkOld(path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".tmcc-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	inside := filepath.Join(dir, "s")
	ln, err := listenIn(dir, "s")
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	refuseRights(ln) // before anybody can connect
	if err := moveInPlace(inside, path); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	made, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &boundSocket{UnixListener: ln, path: path, made: made}, nil
}

func moveInPlace(from, to string) error {
	if err := os.Chmod(from, 0o777); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// checkOld allows nothing, or a socket: of a dead process, for we have the lock.
func checkOld(path string) error {
	old, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case old.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("bind %s: there is something that is no socket", path)
	}
	return nil
}

// Close removes the socket, unless somebody put another one there.
func (b *boundSocket) Close() error {
	err := b.UnixListener.Close()
	b.once.Do(func() {
		if now, statErr := os.Lstat(b.path); statErr == nil && os.SameFile(now, b.made) {
			err = errors.Join(err, os.Remove(b.path))
		}
		err = errors.Join(err, b.lock.Close())
	})
	return err
}
