package removal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Unmounted wants that nothing is mounted at or below any of the paths, which need
// not be there; else the error is a [*UseError].
func Unmounted(paths ...string) error {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return fmt.Errorf("look what is mounted: %w", err)
	}
	for _, path := range paths {
		real, err := resolved(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if m := lastBelow(mounts, real); m != nil {
			return &UseError{
				Path: path, Use: fmt.Sprintf("%s is mounted at %s", m.FSType, m.Mountpoint), Remedy: "umount " + m.Mountpoint,
			}
		}
	}
	return nil
}

// resolved is the path as mountinfo has it: without links on the way there. The
// last one isn't followed, as no removal does.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// lastBelow is the mount at or below path that was made last: the first to be
// taken away again. Nil: there is none.
func lastBelow(mounts []*mountinfo.Info, path string) (last *mountinfo.Info) {
	for _, m := range mounts {
		if m.Mountpoint == path || strings.HasPrefix(m.Mountpoint, path+"/") {
			last = m
		}
	}
	return last
}
