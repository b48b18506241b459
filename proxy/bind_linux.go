package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// listenIn binds name in dir by way of dir's descriptor: a path of full length
// leaves no room for the temporary directory's.
func listenIn(dir, name string) (ln *net.UnixListener, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	raw, err := d.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", fd, name)})
	})
	return ln, errors.Join(ctlErr, err)
}
