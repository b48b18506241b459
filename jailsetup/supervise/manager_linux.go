package supervise

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// manager is the service manager that started us, systemd, if one did. It is
// told how we are, and keeps the jails' sockets while there is no supervisor.
type manager struct {
	address string // of its socket; empty: there is none
}

// newManager reads where the service manager listens. Our children aren't told:
// they have nothing to say to it.
func newManager() (manager, error) {
	m := manager{os.Getenv("NOTIFY_SOCKET")}
	return m, os.Unsetenv("NOTIFY_SOCKET")
}

// say sends one datagram, with copies of files.
func (m manager) say(state string, files ...*os.File) error {
	if m.address == "" {
		return nil
	}
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer unix.Close(sock)
	var fds []int
	for _, f := range files {
		if err := withFD(f, func(fd int) error { fds = append(fds, fd); return nil }); err != nil {
			return err
		}
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	err = unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: managerPatience})
	if err == nil {
		err = unix.Sendmsg(sock, []byte(state), rights, &unix.SockaddrUnix{Name: m.address}, unix.MSG_NOSIGNAL)
	}
	runtime.KeepAlive(files)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// managerPatience is how many seconds a manager may leave a datagram waiting.
const managerPatience = 5

func (m manager) ready() error    { return m.say(daemon.SdNotifyReady) }
func (m manager) stopping() error { return m.say(daemon.SdNotifyStopping) }

// Names of a vnode's sockets in the manager's store, before the vnode's own. A
// vnode's name has no colon, which the list of names is separated by.
const (
	tmccName    = "tmcc-"
	consoleName = "console-"
)

// store gives the manager copies of the door's sockets in place of older ones.
func (m manager) store(d *door) error {
	if m.address == "" {
		return nil
	}
	console, err := d.console.listener.File()
	if err != nil {
		return err
	}
	return errors.Join(
		m.drop(d.vnode),
		m.say("FDSTORE=1\nFDNAME="+tmccName+d.vnode, d.tmcc),
		m.say("FDSTORE=1\nFDNAME="+consoleName+d.vnode, console),
		console.Close(),
	)
}

// drop lets the manager close its copies.
func (m manager) drop(vnode string) error {
	return errors.Join(
		m.say("FDSTOREREMOVE=1\nFDNAME="+tmccName+vnode),
		m.say("FDSTOREREMOVE=1\nFDNAME="+consoleName+vnode),
	)
}

// stored takes what the manager kept of an earlier supervisor, by vnode. What
// has another name is closed.
func stored() map[string]sockets {
	kept := map[string]sockets{}
	for _, f := range activation.Files(true) {
		name := f.Name()
		if vnode, ok := strings.CutPrefix(name, tmccName); ok && kept[vnode].tmcc == nil {
			kept[vnode] = sockets{f, kept[vnode].console}
		} else if vnode, ok := strings.CutPrefix(name, consoleName); ok && kept[vnode].console == nil {
			kept[vnode] = sockets{kept[vnode].tmcc, f}
		} else {
			_ = f.Close()
		}
	}
	return kept
}
