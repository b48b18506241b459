//go:build unix

package proxy

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dup copies a descriptor, close-on-exec from the first moment.
func dup(raw syscall.RawConn, name string) (*os.File, error) {
	var copied int
	var err error
	ctlErr := raw.Control(func(fd uintptr) { copied, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(ctlErr, err); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(copied), name), nil
}
