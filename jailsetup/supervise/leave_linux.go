package supervise

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/wholefile"
)

// Leave removes what supervisors leave on a host whose jails are gone: locks,
// sockets, empty directories. Logs stay, for they say what was done, and local
// stores that people have left something in; kept names them. What isn't known by name stays too, and the directories that it is in.
// It holds the supervisor's lock: [ErrServed] says that there is another one.
func Leave(site jail.Site) (kept []string, err error) {
	lock, err := takeLock(site)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	var errs []error
	for _, name := range [...]string{
		"proxy.sock", "proxy.sock" + jail.BindSuffix, "proxy.pid", "proxy.pid" + wholefile.Suffix, "serve.sock", "serve.sock" + jail.BindSuffix,
		"delaynode.sock", "network.lock", "shape", "jails", "doors",
	} {
		errs = append(errs, removeEmpty(filepath.Join(site.Run, name)))
	}
	errs = append(errs, removeEmpty(filepath.Join(site.State, ".root")))
	for _, pattern := range [...]string{logName + "*", filepath.Base(site.AuditPath()) + "*", filepath.Base(site.BootVNodesLog())} {
		logs, err := filepath.Glob(filepath.Join(site.State, pattern))
		kept, errs = append(kept, logs...), append(errs, err)
	}
	stores, err := site.Stores()
	kept, errs = append(kept, stores...), append(errs, err)
	// The lock goes last: until then nobody begins.
	errs = append(errs, removeEmpty(lock.Name()), removeEmpty(site.Run), removeEmpty(site.State))
	slices.Sort(kept)
	return kept, errors.Join(errs...)
}

// removeEmpty removes a file, or a directory with nothing in it. One that has
// something stays: it isn't ours to judge.
func removeEmpty(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
			return err
		}
	}
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, unix.EBUSY) { // a file system is mounted there
		return nil
	}
	return err
}
