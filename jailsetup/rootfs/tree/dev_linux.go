package tree

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// node is one character device of a jail.
type node struct {
	name         string
	mode         uint32
	major, minor uint32
}

// devNodes is all there is (jail.md §2.5 no. 10, spec/linux.md §3.3). The console
// is a null device of its own: a program that changes its mode must not change
// /dev/null's.
var devNodes = [...]node{
	{"null", 0o666, 1, 3},
	{"zero", 0o666, 1, 5},
	{"full", 0o666, 1, 7},
	{"random", 0o666, 1, 8},
	{"urandom", 0o666, 1, 9},
	{"tty", 0o666, 5, 0},
	{"console", 0o600, 1, 3},
}

var devLinks = [...]struct{ name, target string }{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
}

// ttyGID is the group of terminals in Debian's base-passwd.
const ttyGID = 5

// mountDev makes /dev outside, before it is idmapped: from then on the host's
// root can't write it any more, and inside nobody may make a node.
func (b *builder) mountDev() error {
	dev, err := newFS("tmpfs", []option{{"size", "1m"}, {"nr_inodes", "4096"}, {"mode", "755"}}, nil, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer dev.close()
	dev.name = "/dev"
	if err := fillDev(dev); err != nil {
		return err
	}
	if err := dev.set(0, b.UserNS); err != nil {
		return err
	}
	if err := dev.attach(b.root, "dev"); err != nil {
		return err
	}
	uid := strconv.Itoa(b.IDBase)
	pts, err := newFS("devpts", []option{
		{"ptmxmode", "666"}, {"mode", "620"},
		{"uid", uid}, {"gid", strconv.Itoa(b.IDBase + ttyGID)}, {"max", strconv.Itoa(b.MaxPTYs)},
	}, nil, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err := place(pts, err, b.root, "dev/pts"); err != nil {
		return err
	}
	shm, err := b.newTmpfs("shm", "1777", "25%", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	return place(shm, err, b.root, "dev/shm")
}

func fillDev(dev mounted) error {
	for _, n := range devNodes {
		if err := unix.Mknodat(dev.fd, n.name, unix.S_IFCHR|n.mode, int(unix.Mkdev(n.major, n.minor))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", n.name, err)
		}
		if err := unix.Fchmodat(dev.fd, n.name, n.mode, 0); err != nil { // the umask had its say
			return fmt.Errorf("set mode of /dev/%s: %w", n.name, err)
		}
	}
	for _, l := range devLinks {
		if err := unix.Symlinkat(l.target, dev.fd, l.name); err != nil {
			return fmt.Errorf("link /dev/%s: %w", l.name, err)
		}
	}
	for _, d := range [...]string{"pts", "shm"} {
		if err := unix.Mkdirat(dev.fd, d, 0o755); err != nil {
			return fmt.Errorf("make /dev/%s: %w", d, err)
		}
	}
	return nil
}

// newTmpfs makes an idmapped tmpfs that belongs to the jail's root.
func (b *builder) newTmpfs(name, mode, size string, attr int) (mounted, error) {
	m, err := newFS("tmpfs", []option{{"size", size}, {"nr_inodes", "65536"}, {"mode", mode}}, nil, attr)
	if err != nil {
		return mounted{}, err
	}
	m.name = name
	if err := m.set(0, b.UserNS); err != nil {
		m.close()
		return mounted{}, err
	}
	return m, nil
}
