package jail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs/tree"
	"emujail/protocol"
)

// A project's local store is a directory of this host that all the project's
// jails here share, at /local/<pid>, on a remote host, too (jail.md §2.2 step 8c,
// §2.5 no. 19). What is in it is people's: neither a kill nor any undo removes it.

// noLocal is what the site file says where there are to be none.
const noLocal = "none"

// LocalStores is the directory of the local stores; empty: there are none.
func (s Site) LocalStores() string {
	switch s.Local {
	case "":
		return filepath.Join(s.State, ".local")
	case noLocal:
		return ""
	}
	return s.Local
}

// storeName is what a project or an experiment with a local store may be called:
// as on the wire, and no file name with a meaning.
var storeName = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_.]{0,63}$`)

// logsName is what /local has already, beside the stores.
const logsName = "logs"

// storeOf is the vnode's store; nil if it has none, with a note if that needs one.
func (s Site) storeOf(vnode string, is protocol.Status) (*Store, string) {
	dir := s.LocalStores()
	if dir == "" {
		return nil, ""
	}
	if is.PID == logsName || !storeName.MatchString(is.PID) || !storeName.MatchString(is.EID) {
		return nil, fmt.Sprintf("project %q, experiment %q: no local store can have that name below /local", is.PID, is.EID)
	}
	return &Store{Dir: withoutLinks(dir), Project: is.PID, Experiment: is.EID, VNode: vnode}, ""
}

// withoutLinks is the operator's path without the links on its way: a share's has
// none. What isn't there yet needs no such care.
func withoutLinks(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if up := filepath.Dir(path); up != path {
		return filepath.Join(withoutLinks(up), filepath.Base(path))
	}
	return path
}

// Store is the step that makes a project's local store, if it isn't there, and in
// it the experiment's directory and the vnode's.
type Store struct {
	Dir                        string // of all stores
	Project, Experiment, VNode string
}

func (s Store) path() string { return filepath.Join(s.Dir, s.Project) }

// share is the store as the jail has it.
func (s Store) share() tree.Share {
	return tree.Share{Source: s.path(), Target: "local/" + s.Project, OnDisk: true}
}

// String implements [plan.Step].
func (s Store) String() string {
	return fmt.Sprintf("make %s, the project's local store, if it isn't there", s.path())
}

// Undo implements [plan.Step]. There is none: the store is kept.
func (s Store) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (s Store) Do(context.Context, *plan.State) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	all, err := unix.Open(s.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: s.Dir, Err: err}
	}
	defer unix.Close(all)
	if err := makeForPeople(all, s.Project, 0o777); err != nil {
		return fmt.Errorf("make %s: %w", s.path(), err)
	}
	// From here on jails may have put anything anywhere.
	store, err := openDir(all, s.Project, unix.O_PATH)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.path(), err)
	}
	defer unix.Close(store)
	for _, d := range [...]struct {
		name string
		mode uint32
	}{{s.Experiment, 0o777}, {s.VNode, 0o775}} {
		if err := makeForPeople(store, d.name, d.mode); err != nil {
			return fmt.Errorf("make %s in %s: %w", d.name, s.path(), err)
		}
	}
	return nil
}

// storeOwner owns what is made here, as user and as group: nobody. In the root's
// hands nobody inside could make a file there, for a share leaves the system's ids
// out (spec/linux.md §3.2); so everybody can who may by the mode, and the jail's
// root.
const storeOwner = 65534

// makeForPeople makes a directory of nobody's below the open one. What is there
// already is left as it is, whatever it is, but for a directory that a killed
// process of ours has half made: only those are the host's root's, for no jail can
// make one, nor rename or remove ours before it has its owner.
func makeForPeople(at int, name string, mode uint32) error {
	const closed = 0o700
	if err := unix.Mkdirat(at, name, closed); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := openDir(at, name, unix.O_RDONLY)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENOENT) {
		return nil // a jail has put something else there
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if has := st.Mode & 0o777; st.Uid != 0 || has != closed && has != mode {
		return nil
	}
	if err := unix.Fchmod(fd, mode); err != nil { // the umask had its say
		return err
	}
	return unix.Fchown(fd, storeOwner, storeOwner) // the last: it says that all is done
}

// openDir opens a directory below the open one. No link is followed.
func openDir(at int, name string, flags uint64) (int, error) {
	return unix.Openat2(at, name, &unix.OpenHow{
		Flags:   flags | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// Stores lists the local stores that there are.
func (s Site) Stores() ([]string, error) {
	dir := s.LocalStores()
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var stores []string
	for _, e := range entries {
		if e.IsDir() && storeName.MatchString(e.Name()) {
			stores = append(stores, filepath.Join(dir, e.Name()))
		}
	}
	return stores, err
}

// removeEmptyStores removes the stores that hold nothing but empty directories,
// once no jail is left.
func (s Site) removeEmptyStores() error {
	stores, err := s.Stores()
	errs := []error{err}
	for _, path := range stores {
		if err := removeEmptyStore(path); err != nil {
			errs = append(errs, fmt.Errorf("remove local store %s, if it is empty: %w", path, err))
		}
	}
	if s.Local == "" { // else the directory is the operator's
		errs = append(errs, rmdir(unix.AT_FDCWD, s.LocalStores()))
	}
	return errors.Join(errs...)
}

// rmdir removes an empty directory. One that isn't empty, or on which something is
// mounted, stays.
func rmdir(at int, name string) error {
	err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return &fs.PathError{Op: "rmdir", Path: name, Err: err}
}

// storeDirs bounds how many empty directories are somebody's oversight.
const storeDirs = 4096

func removeEmptyStore(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	names, err := dir.Readdirnames(storeDirs)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, name := range names {
		if !isEmptyDir(fd, name) {
			return nil
		}
	}
	for _, name := range names {
		if err := rmdir(fd, name); err != nil {
			return err
		}
	}
	return rmdir(unix.AT_FDCWD, path)
}

func isEmptyDir(at int, name string) bool {
	fd, err := openDir(at, name, unix.O_RDONLY)
	if err != nil {
		return false
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	return errors.Is(err, io.EOF)
}
