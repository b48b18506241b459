package network

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries bounds how often a list is read again: with hundreds of jails coming
// and going at once, three times have been seen.
const dumpTries = 100

// whole reads a list again as long as the kernel says that it has changed
// meanwhile: what such a list lacks may be there, and decisions are made by it.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	for try := 1; ; try++ {
		all, err := list()
		if try == dumpTries || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
}
