package steps

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"emujail/protocol"
)

const keysHeader = "# Written by Emulab from your profile. Keys added here by hand are lost when it changes.\n"

// homes makes and fills the homes of changed users, then marks them done. A
// user whose home fails stays pending: the next run tries again.
func (j *accountJob) homes(changed []protocol.User) error {
	anyKeys := false
	for _, u := range j.want.Users {
		anyKeys = anyKeys || len(u.Keys) > 0
	}
	var errs []error
	for _, u := range changed {
		if err := j.home(u, anyKeys); err != nil {
			errs = append(errs, fmt.Errorf("home of %s: %w", u.Login, err))
			continue
		}
		rec := j.users[u.Login]
		rec.pending = false
		j.users[u.Login] = rec
	}
	return errors.Join(errs...)
}

// home sees to one home directory. One that lies on another file system is
// mounted from the testbed and nobody's but its owner's to change.
func (j *accountJob) home(u protocol.User, anyKeys bool) error {
	local, err := j.isLocal(u.HomeDir)
	if err != nil || !local {
		return err
	}
	dir := j.path(u.HomeDir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	err = os.Mkdir(dir, 0o755)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	made := err == nil
	home, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer home.Close()
	h := &homeDir{Root: home, node: j.Node, uid: u.UID, gid: u.GID}
	empty, err := h.isEmpty()
	if err != nil {
		return err
	}
	if made || empty {
		if err := h.populate(j.path("/etc/skel")); err != nil {
			return err
		}
	}
	if err := home.Chmod(".", 0o755); err != nil {
		return err
	}
	if anyKeys {
		if err := h.authorize(u.Keys); err != nil {
			return err
		}
	}
	return h.forward(u.Email)
}

// isLocal says whether the directory lies, or would lie, on the file system of
// the jail's root.
func (n *Node) isLocal(dir string) (bool, error) {
	root, err := os.Stat(n.Root)
	if err != nil {
		return false, err
	}
	for {
		st, err := os.Stat(n.path(dir))
		if err == nil {
			return device(st) == device(root), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		dir = path.Dir(dir)
	}
}

func device(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// homeDir is an opened home. Its owner may be at work in it, planting links:
// everything is done below the descriptor, and files are made anew.
type homeDir struct {
	*os.Root
	node     *Node
	uid, gid int
}

func (h *homeDir) isEmpty() (bool, error) {
	d, err := h.Open(".")
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// own gives a name to the user. Tests without privilege leave it be.
func (h *homeDir) own(name string) error {
	if h.node.Root != "/" && os.Geteuid() != 0 {
		return nil
	}
	return h.Lchown(name, h.uid, h.gid)
}

// populate copies the skeleton: directories, files and links.
func (h *homeDir) populate(skel string) error {
	from, err := os.OpenRoot(skel)
	if errors.Is(err, fs.ErrNotExist) {
		return h.own(".")
	}
	if err != nil {
		return err
	}
	defer from.Close()
	err = fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if err := h.copyEntry(from, name, d); err != nil {
			return err
		}
		return h.own(name)
	})
	if err != nil {
		return err
	}
	return h.own(".") // last: from here on the user can interfere
}

func (h *homeDir) copyEntry(from *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		return h.Mkdir(name, info.Mode().Perm())
	case d.Type()&fs.ModeSymlink != 0:
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return h.Symlink(target, name)
	case d.Type().IsRegular():
		text, err := from.ReadFile(name)
		if err != nil {
			return err
		}
		return h.WriteFile(name, text, info.Mode().Perm())
	}
	return nil
}

// authorize rewrites authorized_keys and keeps the old one beside it.
func (h *homeDir) authorize(keys []string) error {
	err := h.Mkdir(".ssh", 0o700)
	if err == nil {
		err = h.own(".ssh")
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if st, err := h.Lstat(".ssh"); err != nil || !st.IsDir() {
		return errors.Join(err, errors.New(".ssh is not a directory"))
	}
	if err := h.Chmod(".ssh", 0o700); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(keysHeader)
	for _, k := range keys {
		if !strings.ContainsFunc(k, func(c rune) bool { return c < ' ' && c != '\t' }) {
			b.WriteString(k + "\n")
		}
	}
	const file = ".ssh/authorized_keys"
	if err := h.create(file+".new", b.String(), 0o600); err != nil {
		return err
	}
	if err := h.Rename(file, file+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.Rename(file+".new", file)
}

// forward sends the user's mail to the address in the profile, unless the user
// has seen to that.
func (h *homeDir) forward(email string) error {
	if email == "" || strings.ContainsFunc(email, func(c rune) bool { return c < ' ' }) {
		return nil
	}
	if _, err := h.Lstat(".forward"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.create(".forward", email+"\n", 0o644)
}

// create makes a file of the user's that wasn't there: what stood under the
// name goes first, so nothing is written through a link.
func (h *homeDir) create(name, text string, mode fs.FileMode) error {
	if err := h.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := h.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return h.own(name)
}
