package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// Bounds of the walk over a jail's disk, whose root decides on its length, and
// of what is read of a secret.
const (
	maxWalk    = 20 * time.Second
	maxEntries = 500000
	maxSecret  = 1 << 20
)

var errLong = errors.New("there is too much on it")

// secretsOf are the host's files that no jail may have, with their contents.
func (f *Facts) secretsOf() (map[string][]byte, error) {
	var paths []string
	for _, pattern := range [...]string{
		filepath.Join(f.Site.Certificates, "client.pem"), filepath.Join(f.Site.Certificates, "*.key"),
		"/etc/ssh/ssh_host_*_key", "/etc/shadow", "/etc/gshadow", "/root/.ssh/id_*[a-z0-9]",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o004 != 0 || info.Size() == 0 || info.Size() > maxSecret {
			continue // no secret, or none that could be found
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all[path] = text
	}
	return all, nil
}

// noSecrets looks on the jail's own disk for a copy of a secret of the host's.
func noSecrets(f *Facts) error {
	secrets, err := f.secretsOf()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", f.Record.PID))
	if err != nil {
		return err
	}
	defer root.Close()
	top, err := root.Stat(".")
	if err != nil {
		return err
	}
	disk := deviceOf(top)
	err = walk(root, maxEntries, time.Now().Add(maxWalk), func(path string, info fs.FileInfo) (descend bool, err error) {
		if info.IsDir() {
			return deviceOf(info) == disk || path == "usr", nil
		}
		if !info.Mode().IsRegular() || deviceOf(info) != disk {
			return false, nil
		}
		for name, secret := range secrets {
			if info.Size() == int64(len(secret)) && same(root, path, secret) {
				return false, fmt.Errorf("/%.80q of the jail is a copy of %s", path, name)
			}
		}
		return false, nil
	})
	if errors.Is(err, errLong) {
		return errNothing{fmt.Sprintf("the jail's disk isn't searched: %v", err)}
	}
	return err
}

// batch is how many names of a directory are read at a time.
const batch = 256

// walk visits what lies below the root, most entries at most, until then. Of a
// directory no more is read than is visited: its length is the jail's choice. One
// that became a fifo meanwhile isn't waited for.
func walk(root *os.Root, most int, until time.Time, visit func(path string, info fs.FileInfo) (descend bool, err error)) error {
	for dirs := []string{"."}; len(dirs) > 0; {
		at := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		dir, err := root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // gone meanwhile
		}
		for err == nil {
			var names []fs.DirEntry
			names, err = dir.ReadDir(min(batch, most+1))
			for _, d := range names {
				if most--; most < 0 || time.Now().After(until) {
					dir.Close()
					return errLong
				}
				info, err := d.Info()
				if err != nil {
					continue // gone meanwhile
				}
				path := filepath.Join(at, d.Name())
				descend, err := visit(path, info)
				if err != nil {
					dir.Close()
					return err
				}
				if descend {
					dirs = append(dirs, path)
				}
			}
		}
		dir.Close()
	}
	return nil
}

func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}

// same compares without waiting for what may have become a fifo.
func same(root *os.Root, path string, secret []byte) bool {
	file, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	return err == nil && bytes.Equal(text, secret)
}

// socketOwn wants the socket that the jail has at its place to be the one in
// its own directory on the host.
func socketOwn(f *Facts) error {
	dir := f.Site.GivenDir(f.Record.VNode)
	var hosts, its unix.Stat_t
	path := filepath.Join(dir, jail.TmccSocket)
	if err := unix.Lstat(path, &hosts); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	if hosts.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fmt.Errorf("%s is no socket", path)
	}
	file, err := f.root("/run/emulab/tmcc", unix.O_PATH)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Fstat(int(file.Fd()), &its); err != nil {
		return err
	}
	if its.Dev != hosts.Dev || its.Ino != hosts.Ino {
		return errors.New("what the jail has at /run/emulab/tmcc is not its own socket")
	}
	return private(filepath.Dir(dir))
}
