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
	disk, began, entries := deviceOf(top), time.Now(), 0
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if entries++; entries > maxEntries || time.Since(began) > maxWalk {
			return errLong
		}
		if err != nil {
			return nil // gone meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if d.IsDir() && deviceOf(info) != disk && path != "usr" {
			return fs.SkipDir
		}
		if !info.Mode().IsRegular() || deviceOf(info) != disk {
			return nil
		}
		for name, secret := range secrets {
			if info.Size() == int64(len(secret)) && same(root, path, secret) {
				return fmt.Errorf("/%.80q of the jail is a copy of %s", path, name)
			}
		}
		return nil
	})
	if errors.Is(err, errLong) {
		return errNothing{fmt.Sprintf("the jail's disk isn't searched: %v", err)}
	}
	return err
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
	path := filepath.Join(dir, "tmcc")
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
