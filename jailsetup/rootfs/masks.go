package rootfs

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// maxMasks bounds the list: each is a mount of every jail.
const maxMasks = 4096

// findMasks walks a host tree that jails will share and returns the paths
// below it that others can't read, files and directories; what lies below such
// a directory is covered with it. Links count for nothing themselves. The walk
// stays on the tree's own file system, as the clone of its mount does.
func findMasks(root, except string) ([]string, error) {
	var masks []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if rel == except {
			return fs.SkipDir
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if othersMayRead(info.Mode()) {
			return nil
		}
		if masks = append(masks, rel); len(masks) > maxMasks {
			return fmt.Errorf("more than %d files below %s that others can't read", maxMasks, root)
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return masks, err
}

// othersMayRead tells whether anybody on the host may read what has the mode:
// a directory also needs to be searched.
func othersMayRead(mode fs.FileMode) bool {
	need := fs.FileMode(0o004)
	if mode.IsDir() {
		need = 0o005
	}
	return mode.Perm()&need == need
}
