package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"emujail/jailsetup/jail"
)

// Modes of a jail's sockets. Anybody inside may ask tmcd, through the proxy;
// only the jail's root, whose init it is, reaches the console.
const (
	tmccMode    = 0o666
	consoleMode = 0o600
)

// door is one jail's sockets on this side.
type door struct {
	vnode   string
	cgroup  uint64
	tmcc    *os.File // the supervisor's copy: it keeps the backlog over a proxy's death
	console *consoles
}

// openDoor binds both sockets in dir.
func openDoor(vnode, dir string, cgroup uint64) (*door, error) {
	tmcc, err := bind(filepath.Join(dir, jail.TmccSocket), tmccMode)
	if err != nil {
		return nil, err
	}
	defer tmcc.Close() // the file below is a copy
	console, err := bind(filepath.Join(dir, jail.ConsoleSocket), consoleMode)
	if err != nil {
		return nil, err
	}
	file, err := tmcc.File()
	if err != nil {
		return nil, errors.Join(err, console.Close())
	}
	return &door{vnode, cgroup, file, newConsoles(console)}, nil
}

func (d *door) close() error {
	return errors.Join(d.tmcc.Close(), d.console.close())
}

// bind makes a listening socket at path, in place of an old one. It is bound
// under another name and gets its mode before it gets its own, so nobody ever
// finds it half made; the directory is the host's alone to write.
func bind(path string, mode fs.FileMode) (*net.UnixListener, error) {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the undo removes it, by its final name
	if err := os.Chmod(temp, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := os.Rename(temp, path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// open is [jail.Hands]' Open: the door is the proxy's business before anybody
// is inside.
func (s *Supervisor) open(ctx context.Context, vnode, dir string, cgroup uint64) error {
	d, err := openDoor(vnode, dir, cgroup)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.doors[vnode]
	s.doors[vnode] = d
	s.mu.Unlock()
	if old != nil {
		return errors.Join(fmt.Errorf("%s has sockets already", vnode), old.close())
	}
	s.group.Go(func() { d.console.accept(s.log.With("vnode", vnode)) })
	return s.proxy.listen(ctx, d)
}

// shut is [jail.Hands]' Close.
func (s *Supervisor) shut(ctx context.Context, vnode string) error {
	s.mu.Lock()
	d := s.doors[vnode]
	delete(s.doors, vnode)
	s.mu.Unlock()
	if d == nil {
		return nil
	}
	return errors.Join(s.proxy.close(ctx, vnode), d.close())
}
