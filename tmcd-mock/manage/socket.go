package manage

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// DefaultSocket is where a server listens and the commands look when nobody says otherwise.
func DefaultSocket() string {
	if os.Getuid() == 0 {
		if runtime.GOOS == "linux" {
			return "/run/emulab/tmcd-mock.sock"
		}
		return "/var/run/emulab/tmcd-mock.sock"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "emulab", "tmcd-mock.sock")
	}
	return filepath.Join(os.TempDir(), "emulab-"+strconv.Itoa(os.Getuid()), "tmcd-mock.sock")
}

// maxPath is the longest path of a unix socket, on the system with the shortest.
const maxPath = 103

// Listener is a unix socket that this process holds until Close.
type Listener struct {
	*net.UnixListener
	path string
	lock *os.File
}

// ErrInUse is returned by Listen when another server holds the socket.
var ErrInUse = errors.New("another tmcd-mock serves there")

// Listen takes the socket at path, mode 0600. The lock beside it, path.lock, belongs to the living server:
// whoever has it may replace a socket that a dead one left. A missing directory is made with mode 0700.
func Listen(path string) (*Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("management socket %s: the path is longer than %d bytes", path, maxPath)
	}
	if err := ownDirectory(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("management socket %s: %w", path, err)
	}
	lock, err := takeLock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("management socket %s: %w", path, err)
	}
	l, err := bind(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("management socket %s: %w", path, err), lock.Close())
	}
	return &Listener{UnixListener: l, path: path, lock: lock}, nil
}

// ownDirectory makes dir, or checks that nobody else could put a socket of theirs there.
func ownDirectory(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("directory %s: no owner known", dir)
	}
	sticky := info.Mode()&fs.ModeSticky != 0
	if others := info.Mode().Perm()&0o022 != 0; others && !sticky {
		return fmt.Errorf("directory %s: others may write there (mode %04o)", dir, info.Mode().Perm())
	}
	if uid := int(stat.Uid); uid != os.Getuid() && uid != 0 {
		return fmt.Errorf("directory %s belongs to user %d", dir, uid)
	}
	return nil
}

func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// bind makes the socket under another name, in a directory that only we can enter, and moves it into its
// place once it has its mode: at no time can others connect, and no path is removed to be bound again.
func bind(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, errors.New("something that is no socket is in its place")
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tmp := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the old name
	err = os.Chmod(tmp, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close removes the socket and gives up the lock. The lock's file stays: removing it would race.
func (l *Listener) Close() error {
	err := l.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return errors.Join(err, os.Remove(l.path), l.lock.Close())
}
