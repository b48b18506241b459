package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/wholefile"
)

// A socketID tells one socket of this kernel from every other: a cookie is
// never given again.
type socketID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Cookie uint64 `json:"cookie"`
}

// socketIDs are what a door's sockets were when they were bound.
type socketIDs struct {
	Tmcc    socketID `json:"tmcc"`
	Console socketID `json:"console"`
}

// withFD calls f with the descriptor of c. Not by File.Fd, which makes the
// socket blocking for every process that shares it.
func withFD(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// identify reads what the kernel says of a socket. One that isn't a listening
// unix stream socket is an error.
func identify(c syscall.Conn) (id socketID, err error) {
	err = withFD(c, func(fd int) error {
		for _, want := range [...]struct {
			option, value int
			name          string
		}{
			{unix.SO_DOMAIN, unix.AF_UNIX, "unix"},
			{unix.SO_TYPE, unix.SOCK_STREAM, "stream"},
			{unix.SO_ACCEPTCONN, 1, "listening"},
		} {
			if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, want.option); err != nil || v != want.value {
				return errors.Join(fmt.Errorf("it is no %s socket", want.name), err)
			}
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		id = socketID{st.Dev, st.Ino, cookie}
		return err
	})
	return id, err
}

// refuseRights makes senders of descriptors fail, over this socket and all that
// it accepts (Linux 6.16; elsewhere the kernel closes, unseen, what nobody asks
// for).
func refuseRights(c syscall.Conn) {
	_ = withFD(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0) })
}

// duplicate copies a descriptor.
func duplicate(f *os.File) (copied *os.File, err error) {
	err = withFD(f, func(fd int) error {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			copied = os.NewFile(uintptr(n), f.Name())
		}
		return err
	})
	return copied, err
}

func (s *Supervisor) keptPath(vnode string) string {
	return filepath.Join(s.host.Site.Run, "doors", vnode+".json")
}

// keep writes down which sockets are the door's, and gives the service manager
// copies of them.
func (s *Supervisor) keep(d *door) error {
	var ids socketIDs
	var err error
	if ids.Tmcc, err = identify(d.tmcc); err != nil {
		return err
	}
	if ids.Console, err = identify(d.console.listener); err != nil {
		return err
	}
	data, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	path := s.keptPath(d.vnode)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := wholefile.Write(path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return s.manager.store(d)
}

// unkeep forgets the vnode's sockets.
func (s *Supervisor) unkeep(vnode string) error {
	err := s.manager.drop(vnode)
	if rm := os.Remove(s.keptPath(vnode)); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

// sockets are what outlived the last supervisor of one vnode; either may be nil.
type sockets struct{ tmcc, console *os.File }

func (s sockets) close() error {
	var errs []error
	for _, f := range [...]*os.File{s.tmcc, s.console} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// proven returns those of the sockets offered that are what was written down
// when they were bound, and closes the others. The console comes from the
// service manager only: the proxy never had it.
func (s *Supervisor) proven(vnode string, offered ...sockets) (found sockets) {
	var ids socketIDs
	data, err := os.ReadFile(s.keptPath(vnode))
	if err == nil {
		err = json.Unmarshal(data, &ids)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("sockets are bound anew", "vnode", vnode, "error", err)
	}
	for _, o := range offered {
		found.tmcc = s.prove(vnode, found.tmcc, o.tmcc, ids.Tmcc)
		found.console = s.prove(vnode, found.console, o.console, ids.Console)
	}
	return found
}

// prove returns have, or else f if it is the socket wanted.
func (s *Supervisor) prove(vnode string, have, f *os.File, want socketID) *os.File {
	if f == nil {
		return have
	}
	id, err := identify(f)
	if have == nil && err == nil && id == want {
		return f
	}
	if err != nil || id != want {
		s.log.Warn("refused a socket that isn't the one bound for the jail", "vnode", vnode, "error", err)
	}
	_ = f.Close()
	return have
}
