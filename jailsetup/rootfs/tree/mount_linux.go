package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounted is a mount that is not yet attached anywhere, or the root of one
// that is. The name says in messages what it is.
type mounted struct {
	fd   int
	name string
}

func (m mounted) close() { unix.Close(m.fd) }

// option is one parameter of a file system that is about to be made.
type option struct{ key, value string }

// newFS makes a file system of the kind with the options and returns it as a
// detached mount. Descriptor options go in fds.
func newFS(kind string, options []option, fds map[string]int, attr int) (mounted, error) {
	name := "new " + kind
	ctx, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return mounted{}, fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(ctx)
	for _, o := range options {
		if err := unix.FsconfigSetString(ctx, o.key, o.value); err != nil {
			return mounted{}, fmt.Errorf("set %s of %s to %q: %w", o.key, name, o.value, err)
		}
	}
	for key, fd := range fds {
		if err := unix.FsconfigSetFd(ctx, key, fd); err != nil {
			return mounted{}, fmt.Errorf("set %s of %s: %w", key, name, err)
		}
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return mounted{}, fmt.Errorf("create %s: %w", name, err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attr)
	if err != nil {
		return mounted{}, fmt.Errorf("mount %s: %w", name, err)
	}
	return mounted{fd, name}, nil
}

// cloneHost makes a detached clone of one mount of the host, without what is
// mounted below it. The path is the host's own, not a jail's.
func cloneHost(path string) (mounted, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return mounted{}, fmt.Errorf("clone %s: %w", path, err)
	}
	return mounted{fd, path}, nil
}

// cloneBelow makes a detached clone of what lies at path below root.
func cloneBelow(root mounted, path string) (mounted, error) {
	at, err := openBelow(root, path)
	if err != nil {
		return mounted{}, err
	}
	defer unix.Close(at)
	fd, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return mounted{}, fmt.Errorf("clone %s of the jail: %w", path, err)
	}
	return mounted{fd, path}, nil
}

// set changes attributes of the mount; userns is the namespace that maps its
// ids, or nil for none. Only a detached mount can be idmapped.
func (m mounted) set(attr uint64, userns *os.File) error {
	a := unix.MountAttr{Attr_set: attr}
	if userns != nil {
		a.Attr_set |= unix.MOUNT_ATTR_IDMAP
		a.Userns_fd = uint64(userns.Fd())
	}
	if err := unix.MountSetattr(m.fd, "", unix.AT_EMPTY_PATH, &a); err != nil {
		return fmt.Errorf("set attributes of %s (idmapped %t): %w", m.name, userns != nil, err)
	}
	return nil
}

// errPlanted is what a target that is no plain file or directory of its own
// comes to.
var errPlanted = errors.New("the jail has put a link, or something else, in its place")

// openBelow opens path below root for use as a mount target. No link is
// followed and nothing leads out of root.
func openBelow(root mounted, path string) (int, error) {
	fd, err := unix.Openat2(root.fd, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EXDEV) {
		return -1, fmt.Errorf("open /%s of the jail: %w", path, errPlanted)
	}
	if err != nil {
		return -1, fmt.Errorf("open /%s of the jail: %w", path, err)
	}
	return fd, nil
}

// makeBelow makes the directories of path below root that aren't there. No link is
// followed. A last one that is something else is left: nothing can be attached to it.
func makeBelow(root mounted, path string) error {
	for at, rest := ".", path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		dir, err := openBelow(root, at)
		if err != nil {
			return err
		}
		err = unix.Mkdirat(dir, name, 0o755)
		unix.Close(dir)
		at = filepath.Join(at, name)
		if errors.Is(err, unix.ENOTDIR) {
			err = errPlanted
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make /%s of the jail: %w", at, err)
		}
	}
	return nil
}

// attach puts the detached mount at path below root.
func (m mounted) attach(root mounted, path string) error {
	at, err := openBelow(root, path)
	if err != nil {
		return fmt.Errorf("attach %s: %w", m.name, err)
	}
	defer unix.Close(at)
	const byFD = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if err := unix.MoveMount(m.fd, "", at, "", byFD); err != nil {
		return fmt.Errorf("attach %s at /%s of the jail: %w", m.name, path, whyNot(at, err))
	}
	return nil
}

// whyNot explains a target that is not the directory that was made there.
func whyNot(at int, err error) error {
	var st unix.Stat_t
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	if unix.Fstat(at, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("%w: %w", errPlanted, err)
	}
	return err
}

// place attaches a new mount and closes its descriptor: for mounts that are
// not needed again.
func place(m mounted, err error, root mounted, path string) error {
	if err != nil {
		return err
	}
	defer m.close()
	return m.attach(root, path)
}
