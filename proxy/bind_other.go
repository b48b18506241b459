//go:build unix && !linux

package proxy

import (
	"net"
	"path/filepath"
)

// listenIn binds name in dir.
func listenIn(dir, name string) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, name)})
}
