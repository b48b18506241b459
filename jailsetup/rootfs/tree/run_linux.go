package tree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// utmpGID is the group that may write logins in Debian's base-passwd.
const utmpGID = 43

// mountRun makes a fresh /run and shows in it, read-only, the directory that
// the host keeps for this jail, with the programs below it. Nobody inside can
// unmount, write or replace them.
func (b *builder) mountRun() error {
	run, err := newFS("tmpfs", []option{{"size", "16m"}, {"nr_inodes", "4096"}, {"mode", "755"}}, nil, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	defer run.close()
	run.name = "/run"
	for _, d := range [...]struct {
		name string
		mode uint32
	}{{"emulab", 0o755}, {"sshd", 0o755}, {"lock", 0o1777}, {"user", 0o755}} {
		if err := unix.Mkdirat(run.fd, d.name, d.mode); err != nil {
			return fmt.Errorf("make /run/%s: %w", d.name, err)
		}
		if err := unix.Fchmodat(run.fd, d.name, d.mode, 0); err != nil {
			return fmt.Errorf("set mode of /run/%s: %w", d.name, err)
		}
	}
	if err := emptyUtmp(run); err != nil {
		return err
	}
	if err := run.set(0, b.UserNS); err != nil {
		return err
	}
	if err := run.attach(b.root, "run"); err != nil {
		return err
	}
	const given = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	if err := b.show(b.Given, "run/emulab", given); err != nil {
		return err
	}
	return b.show(b.Programs, "run/emulab/bin", given)
}

func emptyUtmp(run mounted) error {
	fd, err := unix.Openat(run.fd, "utmp", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o664)
	if err != nil {
		return fmt.Errorf("make /run/utmp: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Fchown(fd, 0, utmpGID); err != nil {
		return fmt.Errorf("give /run/utmp to its group: %w", err)
	}
	return unix.Fchmod(fd, 0o664)
}

// show attaches a clone of a host directory below the jail's root. It is
// idmapped, so that what is root's outside is root's inside.
func (b *builder) show(source, path string, attr uint64) error {
	m, err := cloneHost(source)
	if err == nil {
		err = m.set(attr, b.UserNS)
	}
	return place(m, err, b.root, path)
}
