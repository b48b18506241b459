//go:build unix && !linux

package proxy

import (
	"errors"
	"os"
)

// User is the user and group of a confined proxy.
const User = 61000

// Confine works on Linux only.
func Confine(uid, gid int) (proc *os.File, err error) {
	return nil, errors.New("confine: not on this system")
}

// Bare can't tell.
func Bare() bool { return false }
