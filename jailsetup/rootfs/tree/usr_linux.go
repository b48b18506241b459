package tree

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// mountUsr puts the host's /usr in its place, read-only, and on top of it the
// jail's own /usr/local, which lies on the image below that very path. What
// others can't read on the host is masked: idmapping shows the jail's root
// what the host's root may read (S29).
func (b *builder) mountUsr() error {
	local, err := cloneBelow(b.root, "usr/local")
	if err != nil {
		return err
	}
	defer local.close()
	usr, err := cloneHost(b.Usr)
	if err != nil {
		return err
	}
	defer usr.close()
	if err := usr.set(unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV, b.UserNS); err != nil {
		return err
	}
	if err := usr.attach(b.root, "usr"); err != nil {
		return err
	}
	if err := local.attach(b.root, "usr/local"); err != nil {
		return err
	}
	for _, path := range b.UsrMasks {
		// What a package's upgrade has removed since the list was made needs no mask.
		if err := b.mask("usr/" + path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("mask what others can't read: %w", err)
		}
	}
	return nil
}

// mask covers a file with the null device, a directory with an empty one that
// can't be written. Both are clones of mounts of ours, so their sources are
// what they claim to be (T9).
func (b *builder) mask(path string) error {
	at, err := openBelow(b.root, path)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return fmt.Errorf("stat /%s of the jail: %w", path, err)
	}
	source, name := b.null, "null"
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		source, name = b.empty, "."
	}
	fd, err := unix.OpenTree(source.fd, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("clone mask for /%s: %w", path, err)
	}
	return place(mounted{fd, "mask"}, nil, b.root, path)
}
