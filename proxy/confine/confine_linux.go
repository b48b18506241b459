// Package confine takes from a process, for good, all rights that it doesn't
// need to serve what it has open already. The proxy and the delay node, which
// read what jails send, are confined by it before the first byte.
//
//	err := confine.Process(confine.Options{UID: 61000, GID: 61000, Name: "tmcc", Limits: limits, Filter: filter})
//
// Afterwards the process is the given user without groups and capabilities, in
// a root directory that is empty and can't be filled, and can't be traced by
// its own user; Filter is to leave it no way to gain anything and few system
// calls. It must have been root, and keeps the descriptors that it has. Nothing
// of this can be taken back, and none of it confines one thread alone.
package confine

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limit bounds a resource, RLIMIT_…, both soft and hard. What is bounded lower
// already stays so: root itself may lack the right to raise it.
type Limit struct {
	Resource int
	Value    uint64
}

// Options say what a process becomes.
type Options struct {
	UID, GID int     // not root's
	Name     string  // of the program: the empty directory is called after it, while it has a name
	Limits   []Limit // beside them: no core files, no locked memory
	Filter   func() error
}

// Process confines the whole process.
//
// The order is the security: the root directory needs rights, the limits must
// be set before they can't, and the filter is last because it forbids the calls
// before it.
func Process(o Options) error {
	if o.UID <= 0 || o.GID <= 0 {
		return fmt.Errorf("confine to user %d, group %d: want others than root", o.UID, o.GID)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"limits", func() error { return setLimits(o.Limits) }},
		{"empty root", func() error { return enterEmptyRoot(o.Name) }},
		{"capability bounding set", dropBoundingSet},
		{"groups", func() error { return syscall.Setgroups(nil) }},
		{"group", func() error { return syscall.Setresgid(o.GID, o.GID, o.GID) }},
		{"user", func() error { return syscall.Setresuid(o.UID, o.UID, o.UID) }},
		{"dumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
		{"system calls", o.Filter},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("confine: %s: %w", step.name, err)
		}
	}
	return nil
}

func setLimits(limits []Limit) error {
	for _, l := range append([]Limit{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_MEMLOCK, 0}}, limits...) {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.Resource, &now); err != nil {
			return fmt.Errorf("resource %d: %w", l.Resource, err)
		}
		value := min(l.Value, now.Max)
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("resource %d: %w", l.Resource, err)
		}
	}
	return nil
}

// enterEmptyRoot makes a directory the root and removes it: nothing can be made
// in a directory that is gone.
func enterEmptyRoot(name string) error {
	dir, err := os.MkdirTemp("", name+"-root-")
	if err != nil {
		return err
	}
	outside, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	defer unix.Close(outside)
	if err := errors.Join(syscall.Chroot(dir), syscall.Chdir("/")); err != nil {
		return err
	}
	return unix.Unlinkat(outside, dir[1:], unix.AT_REMOVEDIR)
}

// dropBoundingSet drops all on all threads. Where threads may be C's the
// runtime refuses (ENOTSUP), and the set stays: of no use without a way to gain
// privileges.
func dropBoundingSet() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		switch errno {
		case 0:
		case syscall.EINVAL: // this kernel has fewer
			return nil
		case syscall.ENOTSUP:
			return nil
		default:
			return errno
		}
	}
	return nil
}
