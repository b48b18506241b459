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
	"emujail/jailsetup/limit"
)

// Modes of a jail's sockets. Anybody inside may ask tmcd, through the proxy;
// only the jail's root, whose init it is, reaches the console.
const (
	tmccMode    = 0o666
	consoleMode = 0o600
)

// door is one jail's sockets on this side, and who may do what through the
// first.
type door struct {
	vnode   string
	cgroup  uint64
	path    string   // of the same cgroup, as /proc/PID/cgroup shows it
	tmcc    *os.File // the supervisor's copy: it keeps the backlog over a proxy's death
	console *consoles
	policy  policyFile
}

func (d *door) rules() []string { return d.policy.rules() }

func (d *door) close() error {
	return errors.Join(d.tmcc.Close(), d.console.close())
}

// bind makes a listening stream socket at path, in place of an old one.
func bind(path string, mode fs.FileMode) (*net.UnixListener, error) {
	return bindAs("unix", path, mode)
}

// bindAs makes a listening socket at path, in place of an old one. It is bound
// under another name and gets its mode and options before it gets its own, so
// nobody ever finds it half made; the directory is the host's alone to write.
func bindAs(network, path string, mode fs.FileMode) (*net.UnixListener, error) {
	temp := path + jail.BindSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: temp, Net: network})
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the undo removes it, by its final name
	refuseRights(l)
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
	d, err := s.newDoor(vnode, cgroup)
	if err != nil {
		return err
	}
	if err := d.policy.renew(); err != nil {
		return err
	}
	if err := s.furnish(d, dir, sockets{}); err != nil {
		return err
	}
	return s.proxy.listen(ctx, d)
}

// reopen opens the door of a jail that runs: by the sockets that outlived the
// last supervisor, else anew at the same place. The proxy isn't up yet.
func (s *Supervisor) reopen(r jail.Record, found sockets) error {
	d, err := s.newDoor(r.VNode, r.Cgroup)
	if err != nil {
		return errors.Join(err, found.close())
	}
	if err := d.policy.renew(); err != nil {
		s.log.Error("everything is denied until the policy can be read", "vnode", r.VNode, "error", err)
		d.policy.denyAll()
	}
	return s.furnish(d, s.host.Site.GivenDir(r.VNode), found)
}

func (s *Supervisor) newDoor(vnode string, cgroup uint64) (*door, error) {
	dir := limit.Cgroup{Hierarchies: s.host.Hierarchies, VNode: vnode}.Dir()
	path, err := filepath.Rel(s.host.Hierarchies.V2, dir)
	if err != nil {
		return nil, err
	}
	return &door{
		vnode: vnode, cgroup: cgroup, path: "/" + path,
		policy: policyFile{path: s.host.Site.PolicyPath(vnode)},
	}, nil
}

// furnish gives the door its sockets, those that are given, which it takes over,
// or new ones in dir, and makes it the vnode's.
func (s *Supervisor) furnish(d *door, dir string, given sockets) error {
	ours, err := listenerOf(given.console)
	given.console = nil
	if ours == nil && err == nil {
		ours, err = bind(filepath.Join(dir, jail.ConsoleSocket), consoleMode)
	}
	if err != nil {
		return errors.Join(err, given.close())
	}
	if d.tmcc = given.tmcc; d.tmcc == nil {
		if d.tmcc, err = bindFile(filepath.Join(dir, jail.TmccSocket), tmccMode); err != nil {
			return errors.Join(err, ours.Close())
		}
	}
	d.console = newConsoles(ours)
	s.mu.Lock()
	old := s.doors[d.vnode]
	if old == nil {
		s.doors[d.vnode] = d
	}
	s.mu.Unlock()
	if old != nil {
		return errors.Join(fmt.Errorf("%s has sockets already", d.vnode), d.close())
	}
	s.group.Go(func() { d.console.accept(s.log.With("vnode", d.vnode)) })
	if err := s.keep(d); err != nil {
		s.log.Warn("sockets will not outlive this supervisor", "vnode", d.vnode, "error", err)
	}
	return nil
}

// bindFile is bind for a socket at which somebody else accepts.
func bindFile(path string, mode fs.FileMode) (*os.File, error) {
	l, err := bind(path, mode)
	if err != nil {
		return nil, err
	}
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

// listenerOf is the listener of a file, nil of nil.
func listenerOf(f *os.File) (*net.UnixListener, error) {
	if f == nil {
		return nil, nil
	}
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a %s socket, want a unix one", l.Addr().Network()), l.Close())
	}
	u.SetUnlinkOnClose(false)
	return u, nil
}

// shut is [jail.Hands]' Close. Without a door, an earlier proxy may know the
// vnode still.
func (s *Supervisor) shut(_ context.Context, vnode string) error {
	s.mu.Lock()
	d := s.doors[vnode]
	delete(s.doors, vnode)
	s.mu.Unlock()
	err := errors.Join(s.proxy.close(vnode), s.unkeep(vnode))
	if d != nil {
		err = errors.Join(err, d.close())
	}
	return err
}
