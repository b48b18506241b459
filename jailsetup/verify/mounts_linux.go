package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// at is the mount that the host made at a path of the jail: the first one
// there. The jail's root can mount over it, never below or before it.
func (f *Facts) at(path string) (*mountinfo.Info, error) {
	i := slices.IndexFunc(f.Mounts, func(m *mountinfo.Info) bool { return m.Mountpoint == path })
	if i < 0 {
		return nil, fmt.Errorf("nothing is mounted at %s of the jail", path)
	}
	return f.Mounts[i], nil
}

// want wants options of the mounts at the paths.
func (f *Facts) want(options string, paths ...string) error {
	for _, path := range paths {
		m, err := f.at(path)
		if err != nil {
			return err
		}
		for _, option := range strings.Split(options, ",") {
			if !slices.Contains(strings.Split(m.Options, ","), option) {
				return fmt.Errorf("%s of the jail is mounted without %s: %s", path, option, m.Options)
			}
		}
	}
	return nil
}

func programsReadOnly(f *Facts) error {
	if err := f.want("ro,nodev,idmapped", "/usr"); err != nil {
		return err
	}
	usr, err := f.at("/usr")
	if err != nil {
		return err
	}
	for _, m := range f.Mounts {
		same := m.Major == usr.Major && m.Minor == usr.Minor && (m.Root == usr.Root || strings.HasPrefix(m.Root, strings.TrimSuffix(usr.Root, "/")+"/usr"))
		if same && !slices.Contains(strings.Split(m.Options, ","), "ro") {
			return fmt.Errorf("a part of the host's /usr is writable at %s of the jail: %s", m.Mountpoint, m.Options)
		}
	}
	return nil
}

func givenReadOnly(f *Facts) error {
	if err := f.want("ro,nosuid,nodev,idmapped", "/run/emulab", "/run/emulab/bin"); err != nil {
		return err
	}
	return private(f.Site.State, filepath.Dir(f.Site.GivenDir(f.Record.VNode)))
}

// private wants directories that only the host's root may enter.
func private(dirs ...string) error {
	for _, dir := range dirs {
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); err != nil {
			return &fs.PathError{Op: "lstat", Path: dir, Err: err}
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o077 != 0 || st.Uid != 0 {
			return fmt.Errorf("%s has mode %o and owner %d: want a directory of root's, 0700", dir, st.Mode&0o7777, st.Uid)
		}
	}
	return nil
}

func noDevices(f *Facts) error {
	if err := f.want("nodev", "/", "/usr", "/usr/local", "/run", "/run/emulab", "/dev/shm", "/proc", "/sys"); err != nil {
		return err
	}
	nodes, err := f.devices()
	if err != nil {
		return err
	}
	known := []string{"1:3 null", "1:5 zero", "1:7 full", "1:8 random", "1:9 urandom", "5:0 tty", "1:3 console"}
	for _, n := range nodes {
		if !slices.Contains(known, n) {
			return fmt.Errorf("/dev of the jail has a device that isn't listed: %.60q", n)
		}
	}
	return lentDead(f)
}

// lentDead wants no device and no set-user-id program to work in what the jail may
// write of the host's: its people's directories and their project's local store.
func lentDead(f *Facts) error {
	own, err := f.at("/")
	if err != nil {
		return err
	}
	for _, m := range f.Mounts {
		options := strings.Split(m.Options, ",")
		if !ofADisk(m) || m.Major == own.Major && m.Minor == own.Minor || slices.Contains(options, "ro") {
			continue
		}
		if !slices.Contains(options, "nodev") || !slices.Contains(options, "nosuid") {
			return fmt.Errorf("%.80q of the jail is the host's, and mounted without nodev or nosuid: %s", m.Mountpoint, m.Options)
		}
	}
	return nil
}

// ofADisk tells whether the mount is of a file system that has files of its own.
func ofADisk(m *mountinfo.Info) bool {
	return !slices.Contains([]string{"tmpfs", "proc", "sysfs", "devpts", "cgroup2", "cgroup", "mqueue"}, m.FSType)
}

// root opens a path of the jail from outside, by descriptor. No link is
// followed and nothing is waited for.
func (f *Facts) root(path string, flags uint64) (*os.File, error) {
	dir, err := unix.Open(fmt.Sprintf("/proc/%d/root", f.Record.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	if flags&unix.O_PATH == 0 {
		flags |= unix.O_NONBLOCK
	}
	fd, err := unix.Openat2(dir, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path + " of the jail", Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// devices lists the device nodes of the jail's /dev.
func (f *Facts) devices() ([]string, error) {
	dir, err := f.root("/dev", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	const most = 4096 // what the tmpfs holds
	names, err := dir.Readdirnames(most)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fmt.Errorf("stat /dev/%s of the jail: %w", name, err)
		}
		if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
			nodes = append(nodes, fmt.Sprintf("%d:%d %s", unix.Major(st.Rdev), unix.Minor(st.Rdev), name))
		}
	}
	return nodes, nil
}

// masked are the kernel's files that no jail may read, and readOnly those that
// none may write, where the host has them.
var (
	masked = [...]string{"acpi", "asound", "kcore", "keys", "key-users", "kmsg", "latency_stats", "timer_list", "timer_stats",
		"sched_debug", "scsi", "interrupts", "slabinfo", "vmallocinfo", "kallsyms", "modules"}
	readOnly = [...]string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

func kernelMasked(f *Facts) error {
	for _, name := range masked {
		path := "/proc/" + name
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if m, err := f.at(path); err != nil {
			return err
		} else if m.FSType != "tmpfs" {
			return fmt.Errorf("what covers %s of the jail is %s", path, m.FSType)
		}
	}
	for _, name := range readOnly {
		path := "/proc/" + name
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := f.want("ro", path); err != nil {
			return err
		}
	}
	return f.want("ro", "/sys")
}

// masksAreNull wants what covers files to be a null device, and what covers
// directories to be read-only (T9). A mask that the jail has mounted over isn't
// reached: it covers what it covers still.
func masksAreNull(f *Facts) error {
	if err := kernelMasked(f); err != nil {
		return err
	}
	for _, m := range f.Mounts {
		if m.FSType != "tmpfs" || !strings.HasPrefix(m.Mountpoint, "/proc/") && !strings.HasPrefix(m.Mountpoint, "/sys/") && !strings.HasPrefix(m.Mountpoint, "/usr/") {
			continue
		}
		if m.Root != "/null" {
			if !slices.Contains(strings.Split(m.Options, ","), "ro") {
				return fmt.Errorf("what covers %.80q of the jail can be written: %s", m.Mountpoint, m.Options)
			}
			continue
		}
		file, err := f.root(m.Mountpoint, unix.O_PATH)
		if err != nil {
			continue // mounted over
		}
		var st unix.Stat_t
		err = unix.Fstat(int(file.Fd()), &st)
		file.Close()
		if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3)) {
			return fmt.Errorf("what covers %.80q of the jail is no null device", m.Mountpoint)
		}
	}
	return nil
}

// unreadableMasked wants a mask for each path of the host's /usr that others
// can't read; also for what came after the template was made (S29).
func unreadableMasked(f *Facts) error {
	usr, err := f.root("/usr", unix.O_PATH)
	if err != nil {
		return err
	}
	defer usr.Close()
	var its, hosts unix.Stat_t
	if err := errors.Join(unix.Fstat(int(usr.Fd()), &its), unix.Stat("/usr", &hosts)); err != nil {
		return err
	}
	if its.Dev != hosts.Dev || its.Ino != hosts.Ino {
		return errNothing{"the jail's /usr isn't the host's"}
	}
	var bare []string
	for _, path := range f.Masks {
		if _, err := f.at("/usr/" + path); err != nil && !f.covered("/usr/"+path) {
			bare = append(bare, path)
		}
	}
	if len(bare) > 0 {
		return fmt.Errorf("the host's users can't read /usr/%s, the jail can (%d such; boot it anew)", bare[0], len(bare))
	}
	return nil
}

func (f *Facts) covered(path string) bool {
	for dir := filepath.Dir(path); len(dir) > len("/usr"); dir = filepath.Dir(dir) {
		if _, err := f.at(dir); err == nil {
			return true
		}
	}
	return false
}

// noHostTree wants every mount to be of the jail's own disk, of what the host
// shows it, or of no disk at all: no old root is left (S25), no other jail's
// directory (S4).
func noHostTree(f *Facts) error {
	for _, other := range f.Others {
		for _, dir := range [...]string{f.Site.GivenDir(other.VNode), f.Site.Dir(other.VNode)} {
			for _, m := range f.Mounts {
				if strings.HasSuffix(dir, m.Root) && len(m.Root) > 1 && strings.HasSuffix(m.Root, "/"+other.VNode) {
					return fmt.Errorf("%s of %s is mounted at %.80q of the jail", m.Root, other.VNode, m.Mountpoint)
				}
			}
		}
	}
	root, err := f.at("/")
	if err != nil {
		return err
	}
	var host unix.Stat_t
	if err := unix.Stat("/", &host); err != nil {
		return err
	}
	if root.Major == int(unix.Major(host.Dev)) && root.Minor == int(unix.Minor(host.Dev)) {
		return errors.New("the jail's root directory lies on the host's root file system")
	}
	for _, m := range f.Mounts {
		if m.Major == int(unix.Major(host.Dev)) && m.Minor == int(unix.Minor(host.Dev)) && m.Root == "/" {
			return fmt.Errorf("the host's root directory is mounted at %.80q of the jail", m.Mountpoint)
		}
	}
	return nil
}

// sharesMapped wants every writable directory of the host's to be idmapped.
func sharesMapped(f *Facts) error {
	for _, m := range f.Mounts {
		if ofADisk(m) && !slices.Contains(strings.Split(m.Options, ","), "idmapped") {
			return fmt.Errorf("%.80q of the jail is mounted without a map of ids: %s", m.Mountpoint, m.Options)
		}
	}
	return nil
}
